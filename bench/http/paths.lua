-- SPDX-License-Identifier: MIT
-- For wrk: asks for random paths of a list ("PATH BYTES" a line, named after "--") and reports as our generator does.
local requests = {}

function init(arguments)
    math.randomseed(os.time())
    for line in io.lines(arguments[1]) do
        requests[#requests + 1] = "GET " .. line:match("^(%S+)") .. " HTTP/1.1\r\nHost: bench\r\n\r\n"
    end
end

function request()
    return requests[math.random(#requests)]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "seconds": %.4f, "requests_per_s": %.0f, "bytes": %d, "us_p50": %d, "us_p99": %d, ' ..
        '"wrong_status": %d, "failed": %d}\n', summary.requests, summary.duration / 1e6,
        summary.requests / summary.duration * 1e6, summary.bytes, latency:percentile(50), latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
