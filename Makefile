# The front door. Everything else is Meson's: see CONTRIBUTING.md.
BUILD ?= build
DIR ?= .
ARGS ?=
DESTDIR ?=
ONE ?=

.PHONY: all setup serve test test-all bench bench-chain bench-http bench-ftp bench-stall bench-idle bench-tree bench-steps install clean format

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet
	@ln -sf cli/errand $(BUILD)/errand; ln -sf src/liberrand.so src/liberrand.a $(BUILD)/

$(BUILD)/build.ninja: | setup
	@meson setup $(BUILD) --buildtype=release > $(BUILD).log || { cat $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

# Installs the Debian packages that are missing (or prints the line to run where it may not).
setup:
	@scripts/setup build

serve: all
	@$(BUILD)/errand serve $(ARGS) $(DIR)

test:
	@scripts/setup test
	@tests/run $(ONE)

test-all:
	@scripts/setup test-all
	@tests/run-all

bench: bench-chain bench-http bench-ftp bench-stall bench-idle bench-tree bench-steps

bench-chain bench-http bench-ftp bench-stall bench-idle bench-tree bench-steps:
	@scripts/setup bench
	@bench/run $(@:bench-%=%)

install: all
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	@rm -rf build build-*
