/* SPDX-License-Identifier: MIT */
/*
 * Names come from whoever may write to the directory, so each is written for the place where it stands: percent-encoded
 * behind "./" in a link (no name is taken for a scheme or another host), escaped as text, with U+FFFD for what is not
 * UTF-8 or cannot be shown, isolated as to the direction of writing.
 */
#include "page.h"
#include "path.h"
#include "text.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CRUMBS_MAX = 32 }; /* of a path that is deeper, the last are shown */

#define PUT(page, literal) page_put((page), (literal), sizeof(literal) - 1)

/* ------------------------------------------------------------------------------------------- bytes */

static char *room(struct page *page, size_t more)
{
    if (!page->failed && page->size - page->length < more) {
        size_t size = page->size + more + 4096;
        char *bytes = realloc(page->bytes, size);
        page->failed = bytes == NULL;
        if (bytes != NULL) {
            page->bytes = bytes;
            page->size = size;
        }
    }
    return page->failed ? NULL : page->bytes + page->length;
}

void page_put(struct page *page, const char *bytes, size_t length)
{
    char *at = room(page, length);
    if (at != NULL)
        page->length = (size_t)(text_bytes(at, bytes, length) - page->bytes);
}

static void put_number(struct page *page, uint64_t value)
{
    char digits[20];
    page_put(page, digits, (size_t)(text_number(digits, value) - digits));
}

/* The length of the character that begins here; 0: it is none of UTF-8's. */
static size_t character(const unsigned char *at, size_t length)
{
    size_t size = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : *at < 0xf5 ? 4 : 0;
    if (size == 0 || size > length)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] > 0x9f) || (*at == 0xf0 && at[1] < 0x90) ||
               (*at == 0xf4 && at[1] > 0x8f);
    return bad ? 0 : size;
}

static void put_html_character(struct page *page, const char *at, size_t size)
{
    switch (*at) {
    case '&': PUT(page, "&amp;"); break;
    case '<': PUT(page, "&lt;"); break;
    case '>': PUT(page, "&gt;"); break;
    case '"': PUT(page, "&quot;"); break;
    case '\'': PUT(page, "&#39;"); break;
    default:
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            PUT(page, "\xef\xbf\xbd");
        else
            page_put(page, at, size);
    }
}

static void put_json_character(struct page *page, const char *at, size_t size)
{
    unsigned char c = (unsigned char)*at;
    if (c == '"' || c == '\\')
        PUT(page, "\\");
    if (c >= 0x20) {
        page_put(page, at, size);
        return;
    }
    char escape[6] = {'\\', 'u', '0', '0', (char)('0' + (c >> 4)), "0123456789abcdef"[c & 15]};
    page_put(page, escape, sizeof escape);
}

static void put_text(struct page *page, const char *text, size_t length,
                     void (*put)(struct page *, const char *, size_t))
{
    for (size_t i = 0; i < length;) {
        size_t size = character((const unsigned char *)text + i, length - i);
        if (size == 0)
            PUT(page, "\xef\xbf\xbd");
        else
            put(page, text + i, size);
        i += size == 0 ? 1 : size;
    }
}

/* Where a link to a name of this directory leads. */
static void put_href(struct page *page, const char *name, size_t length)
{
    char url[3 * 256];
    PUT(page, "./");
    for (size_t i = 0; i < length; i += 256) {
        size_t part = length - i < 256 ? length - i : 256;
        put_text(page, url, (size_t)(path_to_url(url, name + i, part) - url), put_html_character);
    }
}

static void put_time(struct page *page, int64_t seconds, const char *format)
{
    char text[80];
    struct tm tm;
    time_t time = (time_t)seconds;
    if (gmtime_r(&time, &tm) != NULL)
        page_put(page, text, strftime(text, sizeof text, format, &tm));
}

/* ------------------------------------------------------------------------------------------- choices */

static bool is(const char *at, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(at, word, length) == 0;
}

struct page_choice page_choose(const char *query, size_t length, bool prefers_json)
{
    struct page_choice choice = {.json = prefers_json};
    for (size_t i = 1; i < length;) {
        const char *at = query + i, *end = memchr(at, '&', length - i);
        size_t size = end ? (size_t)(end - at) : length - i;
        if (is(at, size, "json"))
            choice.json = true;
        else if (is(at, size, "sort=name"))
            choice.order = PAGE_BY_NAME;
        else if (is(at, size, "sort=size"))
            choice.order = PAGE_BY_SIZE;
        else if (is(at, size, "sort=time"))
            choice.order = PAGE_BY_TIME;
        else if (is(at, size, "order=asc") || is(at, size, "order=desc"))
            choice.descending = size == sizeof "order=desc" - 1;
        i += size + 1;
    }
    return choice;
}

struct sorting {
    const char *names;
    const struct page_choice *choice;
};

static int compare(const void *left, const void *right, void *context)
{
    const struct entry *one = left, *other = right;
    const struct sorting *sorting = context;
    bool dir = one->type == DT_DIR;
    if (dir != (other->type == DT_DIR))
        return dir ? -1 : 1;
    int result = 0;
    if (sorting->choice->order == PAGE_BY_SIZE && !dir)
        result = (one->size > other->size) - (one->size < other->size);
    else if (sorting->choice->order == PAGE_BY_TIME)
        result = (one->modified > other->modified) - (one->modified < other->modified);
    if (result == 0)
        result = strcmp(sorting->names + one->name, sorting->names + other->name);
    return sorting->choice->descending ? -result : result;
}

void page_sort(struct entry *entries, size_t count, const char *names, const struct page_choice *choice)
{
    struct sorting sorting = {names, choice};
    if (count > 1)
        qsort_r(entries, count, sizeof *entries, compare, &sorting);
}

/* ------------------------------------------------------------------------------------------- HTML */

static const char style[] =
    ":root{color-scheme:light dark;--line:#8884;--link:#06c}"
    "@media(prefers-color-scheme:dark){:root{--link:#8bf}}"
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}"
    "h1{font-size:1.25rem;overflow-wrap:anywhere}a{color:var(--link);text-decoration:none}"
    "a:hover,a:focus-visible{text-decoration:underline}table{border-collapse:collapse;width:100%}"
    "th,td{border-bottom:1px solid var(--line);padding:.4rem;text-align:start;vertical-align:top}"
    "td:first-child a{display:block;overflow-wrap:anywhere}"
    "td+td,th+th{text-align:end;white-space:nowrap;font-variant-numeric:tabular-nums}"
    "th button{all:unset;cursor:pointer;color:var(--link)}th button:focus-visible{outline:2px solid}"
    "[aria-sort=ascending]::after{content:\" \\2191\"}[aria-sort=descending]::after{content:\" \\2193\"}"
    "@media(max-width:32rem){td,th{padding:.6rem .2rem}time span{display:none}}";

/* Sorts without asking the server again. Rows have their keys: d for what comes first, s and t for size and time. */
static const char script[] =
    "const table=document.querySelector('table'),body=table.tBodies[0],heads=[...table.tHead.rows[0].cells];"
    "const key=[r=>r.cells[0].textContent,r=>+r.dataset.s,r=>+r.dataset.t];"
    "heads.forEach((head,i)=>{let to=head.querySelector('a');"
    "if(!to){to=document.createElement('button');to.type='button';to.textContent=head.textContent;"
    "head.replaceChildren(to)}"
    "to.addEventListener('click',event=>{event.preventDefault();"
    "const by=head.getAttribute('aria-sort')==='ascending'?-1:1;"
    "heads.forEach(other=>other.removeAttribute('aria-sort'));"
    "head.setAttribute('aria-sort',by>0?'ascending':'descending');"
    "const rows=[...body.rows].map(r=>[r.dataset.d,key[i](r),r]);"
    "rows.sort((a,b)=>a[0]!==b[0]?b[0]-a[0]:a[1]<b[1]?-by:a[1]>b[1]?by:0);"
    "for(const row of rows)body.append(row[2])})});";

static void put_crumb(struct page *page, const char *name, size_t length, unsigned up)
{
    PUT(page, "<a href=\"./");
    for (; up > 0; up--)
        PUT(page, "../");
    PUT(page, "\"><bdi>");
    put_text(page, name, length, put_html_character);
    PUT(page, "</bdi></a>");
}

/* From the root to here. */
static void put_crumbs(struct page *page, const struct page_view *view)
{
    unsigned depth = 0, number = 0;
    for (size_t i = 0; i < view->path_length; i++)
        depth += view->path[i] == '/';
    PUT(page, "<nav aria-label=\"Path\"><h1><a href=\"/\">/</a>");
    for (size_t from = 0, i = 0; i < view->path_length; i++) {
        if (view->path[i] != '/')
            continue;
        number++;
        if (depth - number < CRUMBS_MAX) {
            put_crumb(page, view->path + from, i - from, depth - number);
            PUT(page, "/<wbr>");
        } else if (number == 1) {
            PUT(page, "\xe2\x80\xa6/");
        }
        from = i + 1;
    }
    PUT(page, "</h1></nav>\n");
}

static void put_column(struct page *page, const struct page_view *view, enum page_order order)
{
    static const char *const words[] = {"name", "size", "time"};
    static const char *const titles[] = {"Name", "Size", "Modified (UTC)"};
    bool now = view->sorted && view->choice.order == order;
    PUT(page, "<th scope=\"col\"");
    if (now && view->choice.descending)
        PUT(page, " aria-sort=\"descending\"");
    else if (now)
        PUT(page, " aria-sort=\"ascending\"");
    PUT(page, ">");
    if (view->sorted) {
        PUT(page, "<a href=\"?sort=");
        page_put(page, words[order], strlen(words[order]));
        if (now && !view->choice.descending)
            PUT(page, "&amp;order=desc\">");
        else
            PUT(page, "&amp;order=asc\">");
    }
    page_put(page, titles[order], strlen(titles[order]));
    if (view->sorted)
        PUT(page, "</a>");
    PUT(page, "</th>");
}

static void begin_html(struct page *page, const struct page_view *view)
{
    PUT(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
              "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>/");
    put_text(page, view->path, view->path_length, put_html_character);
    PUT(page, "</title>\n<style nonce=\"");
    page_put(page, view->nonce, PAGE_NONCE);
    PUT(page, "\">");
    page_put(page, style, sizeof style - 1);
    PUT(page, "</style>\n</head>\n<body>\n");
    put_crumbs(page, view);
    PUT(page, "<main>\n");
    if (view->path_length > 0)
        PUT(page, "<p><a href=\"../\">Parent directory</a></p>\n");
    if (!view->sorted)
        PUT(page,
            "<p role=\"note\">This directory is too large to be sorted here: its entries come in no order.</p>\n");
    PUT(page, "<table>\n<thead><tr>");
    for (enum page_order order = PAGE_BY_NAME; order <= PAGE_BY_TIME; order++)
        put_column(page, view, order);
    PUT(page, "</tr></thead>\n<tbody>\n");
}

/* "1.5 MB": three digits or so, in powers of 1000. */
static void put_size(struct page *page, uint64_t size)
{
    static const char units[] = "kMGTPE";
    if (size < 1000) {
        put_number(page, size);
        PUT(page, " B");
        return;
    }
    unsigned unit = 0;
    while (size >= 1000 * 1000) {
        size /= 1000;
        unit++;
    }
    put_number(page, size / 1000);
    if (size < 100 * 1000) {
        PUT(page, ".");
        put_number(page, size % 1000 / 100);
    }
    char text[] = {' ', units[unit], 'B'};
    page_put(page, text, sizeof text);
}

static void put_row(struct page *page, const struct entry *entry, const char *name)
{
    bool dir = entry->type == DT_DIR;
    PUT(page, "<tr data-d=\"");
    put_number(page, dir);
    PUT(page, "\" data-s=\"");
    put_number(page, dir ? 0 : entry->size);
    PUT(page, "\" data-t=\"");
    if (entry->modified < 0)
        PUT(page, "-");
    put_number(page, entry->modified < 0 ? 0 - (uint64_t)entry->modified : (uint64_t)entry->modified);
    PUT(page, "\"><td><a href=\"");
    put_href(page, name, entry->length);
    page_put(page, "/", dir);
    PUT(page, "\"><bdi>");
    put_text(page, name, entry->length, put_html_character);
    PUT(page, "</bdi>");
    page_put(page, dir ? "/" : "@", dir || entry->type == DT_LNK); /* as ls -F marks them */
    PUT(page, "</a></td><td>");
    if (entry->known && entry->type == DT_REG)
        put_size(page, entry->size);
    PUT(page, "</td><td>");
    if (entry->known)
        put_time(page, entry->modified, "<time datetime=\"%Y-%m-%dT%H:%M:%SZ\">%Y-%m-%d<span> %H:%M</span></time>");
    PUT(page, "</td></tr>\n");
}

static void end_html(struct page *page, const struct page_view *view)
{
    PUT(page, "</tbody>\n</table>\n");
    if (!view->rows)
        PUT(page, "<p>Nothing here.</p>\n");
    PUT(page, "</main>\n<script nonce=\"");
    page_put(page, view->nonce, PAGE_NONCE);
    PUT(page, "\">");
    page_put(page, script, sizeof script - 1);
    PUT(page, "</script>\n</body>\n</html>\n");
}

/* ------------------------------------------------------------------------------------------- JSON */

static void put_object(struct page *page, const struct entry *entry, const char *name)
{
    PUT(page, "{\"name\":\"");
    put_text(page, name, entry->length, put_json_character);
    switch (entry->type) {
    case DT_DIR: PUT(page, "\",\"type\":\"directory\",\"size\":"); break;
    case DT_REG: PUT(page, "\",\"type\":\"file\",\"size\":"); break;
    case DT_LNK: PUT(page, "\",\"type\":\"link\",\"size\":"); break;
    default: PUT(page, "\",\"type\":\"other\",\"size\":"); break;
    }
    if (entry->known && entry->type == DT_REG)
        put_number(page, entry->size);
    else
        PUT(page, "null");
    PUT(page, ",\"modified\":");
    if (entry->known)
        put_time(page, entry->modified, "\"%Y-%m-%dT%H:%M:%SZ\"}");
    else
        PUT(page, "null}");
}

/* ------------------------------------------------------------------------------------------- either */

void page_begin(struct page *page, const struct page_view *view)
{
    if (view->choice.json)
        PUT(page, "[");
    else
        begin_html(page, view);
}

void page_entry(struct page *page, struct page_view *view, const struct entry *entry, const char *name)
{
    if (entry->gone)
        return;
    if (view->choice.json) {
        page_put(page, ",\n", view->rows ? 2 : 0);
        put_object(page, entry, name);
    } else {
        put_row(page, entry, name);
    }
    view->rows = true;
}

void page_end(struct page *page, const struct page_view *view)
{
    if (view->choice.json)
        PUT(page, "]\n");
    else
        end_html(page, view);
}
