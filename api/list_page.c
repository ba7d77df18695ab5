/* See list_page.h. */
#include "api/list_page.h"

#include "api/json_out.h"
#include "api/resources.h"

static const struct api_field list_query_fields[] = {
    {.name = "limit",
     .type = API_NUMBER,
     .min = 1,
     .max = API_LIST_LIMIT,
     .help = "entries of the answer at most"},
    {.name = "after", .type = API_TEXT, .max = PATH_SEGMENT_MAX, .help = "\"next\" of the page before"},
};
const struct api_object list_query = {.name = "ListQuery", API_FIELDS(list_query_fields)};

void list_page_begin(struct list_page *p, struct exchange *x)
{
    const char *limit = query_get(&x->query, "limit");
    uint64_t number = API_LIST_LIMIT;
    *p = (struct list_page){.items = json_array(), .after = slice_of_text(query_get(&x->query, "after"))};
    if (limit != NULL && slice_parse_u64(slice_of_text(limit), &number) && number > API_LIST_LIMIT) {
        number = API_LIST_LIMIT;
    }
    p->limit = (size_t)number;
}

bool list_page_wants(struct list_page *p, struct slice key)
{
    if (p->after.len > 0 && slice_compare(key, p->after) <= 0) {
        return false;
    }
    if (json_array_size(p->items) == p->limit) {
        p->more = true;
        return false;
    }
    return true;
}

void list_page_add(struct list_page *p, struct slice key, json_t *item)
{
    size_t n = key.len < sizeof(p->last) - 1 ? key.len : sizeof(p->last) - 1;
    memcpy(p->last, key.data, n);
    p->last[n] = '\0';
    json_array_append_new(p->items, item);
}

void list_page_answer(struct list_page *p, struct exchange *x)
{
    exchange_answer(x, json_page(p->items, p->more ? json_string(p->last) : NULL));
}
