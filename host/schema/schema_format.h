/* The formats of JSON Schema: dates, addresses and the like. */
#ifndef ML_SCHEMA_FORMAT_H
#define ML_SCHEMA_FORMAT_H

#include "schema/schema_node.h"

/* What is wrong with the text: the type of the error, and `*detail` why. NULL if it fits. */
const char *schema_format_check(SchemaFormat format, const char *s, size_t size,
                                const char **detail);

/* The format of this name as JSON Schema has it ("date-time"), or SCHEMA_FORMAT_NONE. */
SchemaFormat schema_format_named(const char *name);

/* The seconds since 1970 of a text that is a date-time. */
double schema_format_unix(const char *s, size_t size);

/* The fault of a date and time, or a time, that is right but for its missing zone. */
extern const char schema_format_no_zone[];

/* What is wrong with a date-time, a date or a time (RFC 3339, zones included), or NULL. */
const char *schema_format_time_fault(SchemaFormat format, const char *s, size_t size);

/* What is wrong with an ISO 8601 duration, or NULL. */
const char *schema_format_duration_fault(const char *s, size_t size);

/* Is it a host name (RFC 1123), a URI or a reference to one (RFC 3986), an e-mail address? */
bool schema_format_is_hostname(const char *s, size_t size);
bool schema_format_is_uri(const char *s, size_t size, bool is_reference);
bool schema_format_is_email(const char *s, size_t size);
bool schema_format_is_ip(const char *s, size_t size, int family);

#endif
