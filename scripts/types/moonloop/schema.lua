---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.schema
local schema = {}

---@class moonloop.schema.string.opts
---@field min? integer characters at least, at most (none)
---@field max? integer characters at least, at most (none)
---@field pattern? string a regular expression of ECMA-262 that matches somewhere in it (none)
---@field match? string the same as a Lua pattern; it is not in documents (none)
---@field format? string `date-time date time duration email hostname ipv4 ipv6 ip uri uri-reference url uuid json-pointer` (none)

---A text that takes a pattern more than a bounded number of steps does not match. In a body of many such texts these steps count as
---visits (limits), and so end in one error.
---@param opts? moonloop.schema.string.opts
---@return moonloop.schema.schema
function schema.string(opts) end

---@class moonloop.schema.int.opts
---@field min? number at least, at most (none)
---@field max? number at least, at most (none)
---@field gt? number more than, less than (none)
---@field lt? number more than, less than (none)
---@field multiple_of? number a multiple of this, which is above 0 (none)

---A 64-bit integer. Of floats only whole ones fit, and become integers.
---@param opts? moonloop.schema.int.opts
---@return moonloop.schema.schema
function schema.int(opts) end

---An integer or a float; NaN and infinity never pass. The options are those of `ml.schema.int`.
---@param opts? table
---@return moonloop.schema.schema
function schema.number(opts) end

---A decimal number that stays text, so that it loses no digit: `"1.10"`. Numbers become text. The options are those of
---`ml.schema.int`; limits are compared as floats.
---@param opts? table
---@return moonloop.schema.schema
function schema.decimal(opts) end

---true or false.
---@param opts? table
---@return moonloop.schema.schema
function schema.bool(opts) end

---One of the list's values: strings, numbers, booleans, `ml.json.null`. Options may stand in the same table:
---`s.enum{"a", "b", title = "Kind"}`.
---@param values table<string, any>
---@param opts? table
---@return moonloop.schema.schema
function schema.enum(values, opts) end

---This value.
---@param value any
---@param opts? table
---@return moonloop.schema.schema
function schema.const(value, opts) end

---@class moonloop.schema.list.opts
---@field min? integer items at least, at most (none)
---@field max? integer items at least, at most (none)
---@field unique? boolean no two items are equal (false)

---A list whose items fit the schema `item`.
---@param item moonloop.schema.schema
---@param opts? moonloop.schema.list.opts
---@return moonloop.schema.schema
function schema.list(item, opts) end

---@class moonloop.schema.map.opts
---@field min? integer members at least, at most (none)
---@field max? integer members at least, at most (none)

---A table with any string keys, whose values fit the schema `value`.
---@param value moonloop.schema.schema
---@param opts? moonloop.schema.map.opts
---@return moonloop.schema.schema
function schema.map(value, opts) end

---A list of as many items as there are schemas in `items`, each fitting its own.
---@param items moonloop.schema.schema[]
---@param opts? table
---@return moonloop.schema.schema
function schema.tuple(items, opts) end

---@class moonloop.schema.object.opts
---@field extra? string|moonloop.schema.schema what happens with other fields: `"ignore"` leaves them out, `"forbid"` is an error, a schema checks and keeps them (`"ignore"`)

---A table with these fields: `{name = schema}`, in the order of their names in errors, or `{{"id", schema}, ...}`, in this
---order. With a name it is a component of documents, and refs may mean it. At most 1000 fields.
---@param name string|nil
---@param fields table
---@param opts? moonloop.schema.object.opts
---@return moonloop.schema.schema
---@overload fun(fields: table, opts?: moonloop.schema.object.opts): moonloop.schema.schema
function schema.object(name, fields, opts) end

---What fits one of the schemas: the first that does. Where none does, the errors of all are listed, each with the name of its
---schema in `loc` (`int`, `str`, `list[int]`, an object's name).
---@param schemas moonloop.schema.schema[]
---@param opts? table
---@return moonloop.schema.schema
function schema.union(schemas, opts) end

---Objects that differ in the field `key`: `s.tagged("kind", {cat = Cat, dog = Dog})`. A branch without that field gets it.
---@param key any
---@param branches table<string, moonloop.schema.schema>
---@param opts? table
---@return moonloop.schema.schema
function schema.tagged(key, branches, opts) end

---Any value.
---@param opts? table
---@return moonloop.schema.schema
function schema.any(opts) end

---What the object with the name `target` allows: for schemas that contain themselves. A name means the object around it
---that has it, else one made anywhere. Where that would be ambiguous, `target` is a function that returns the schema.
---@param target string
---@return moonloop.schema.schema
function schema.ref(target) end

---A date and time of RFC 3339 with its zone: `"2026-11-28T20:00:00Z"`. `encode` takes a number, too: seconds since 1970.
---This and the types below have the options of `ml.schema.string` but `format`.
---@param opts? table
---@return moonloop.schema.schema
function schema.datetime(opts) end

---a date: `"2026-11-28"`
---@param opts? table
---@return moonloop.schema.schema
function schema.date(opts) end

---a time of RFC 3339 with its zone: `"20:00:00Z"`
---@param opts? table
---@return moonloop.schema.schema
function schema.time(opts) end

---a duration of ISO 8601: `"P1DT12H"`
---@param opts? table
---@return moonloop.schema.schema
function schema.duration(opts) end

---a UUID
---@param opts? table
---@return moonloop.schema.schema
function schema.uuid(opts) end

---an e-mail address
---@param opts? table
---@return moonloop.schema.schema
function schema.email(opts) end

---an http or https URL with a host
---@param opts? table
---@return moonloop.schema.schema
function schema.url(opts) end

---an IPv4 or IPv6 address
---@param opts? table
---@return moonloop.schema.schema
function schema.ip(opts) end

---A string of any bytes; `min` and `max` count bytes. As JSON it has to be UTF-8.
---@param opts? table
---@return moonloop.schema.schema
function schema.bytes(opts) end

---@class moonloop.schema.file.opts
---@field max? integer bytes at most (none)
---@field types? any[] media types, as `"image/png"` or `"image/*"` (any)

---A file of a form: `{filename =, content_type =, body =}`. Name and type are what the client says.
---@param opts? moonloop.schema.file.opts
---@return moonloop.schema.schema
function schema.file(opts) end

---@class moonloop.schema.from_json_schema.opts
---@field format? boolean check formats; false: they only explain (true)
---@field metaschemas? any[] values of `$schema` that mean the same as draft 2020-12 (none)

---A schema of a JSON Schema, draft 2020-12: a table, a boolean or JSON text. It knows `type`, `enum`, `const`, the limits of
---numbers, texts, arrays and objects, `pattern`, `format`, `properties`, `patternProperties`, `additionalProperties`,
---`propertyNames`, `required`, `dependentRequired`, `dependentSchemas`, `items`, `prefixItems`, `contains`, `uniqueItems`,
---`allOf`, `anyOf`, `oneOf`, `not`, `if`, `$defs`, `$ref` within the document, and annotations. **Raises** an error that names
---the keyword and its place for all else (`unevaluatedProperties`, `$dynamicRef`, `$anchor`, refs elsewhere). Values are
---checked and kept as they are; `default` is an annotation.
---@param doc table
---@param opts? moonloop.schema.from_json_schema.opts
---@return moonloop.schema.schema
function schema.from_json_schema(doc, opts) end

---@class moonloop.schema.schema
local schema = {}

---A value of its own that fits: with defaults, without fields that are ignored. `err` is of kind `"validation"`, and
---`err.errors` is a list of all that is wrong, at most 100: tables with `type`, `loc`, `msg`, `input` and perhaps `ctx`, with the
---types, locations (from 0) and messages of Pydantic 2. `input` is left out under `secret`; of text it is the first 1 kB, and
---a larger table is `"..."`.
---@param value any
---@return any? value
---@return moonloop.error? err
function schema:parse(value) end

---@class moonloop.schema.schema.decode.opts
---@field max_values? integer values that the text may have, lists and objects included; more are one error of type `json_invalid` (any number)

---The same of JSON text, checked while it is decoded. Text that is not JSON is one error of type `json_invalid` whose `loc` is
---the character, from 0. A text of more than 256 kB is decoded and checked in steps between which other tasks run, as
---`ml.json.decode` does.
---@param text string
---@param opts? moonloop.schema.schema.decode.opts
---@return any? value
---@return moonloop.error? err
function schema:decode(text, opts) end

---The same of values that are texts, as those of queries and forms: `"5"` is 5 for `int` and `number`, `"true"`, `"on"`, `"yes"`,
---`"1"` and their opposites are booleans, a single text is a list of one.
---@param value any
---@return any? value
---@return moonloop.error? err
function schema:read(value) end

---JSON text of a value: only fields that the schema has, in its order. An absent field that has a default gets it, one that
---may be null is null. What does not fit is an error as above.
---@param value any
---@return string? text
---@return moonloop.error? err
function schema:encode(value) end

---A JSON Schema, draft 2020-12, of what `parse` and `decode` take; objects with names are in its `$defs`. **Raises** where two different ones have the same name.
---@return table
function schema:json_schema() end

---As a field it may be absent.
---@return moonloop.schema.schema
function schema:optional() end

---It may be `ml.json.null`.
---@return moonloop.schema.schema
function schema:nullable() end

---As a field it may be absent, and is a copy of `value` then. **Raises** where `value` does not fit.
---@param value any
---@return moonloop.schema.schema
function schema:default(value) end

---`f(value)` returns nil, or a message: an error of type `value_error`. It is called in the calling task when all else fits, and
---may wait. A whole is not checked whose parts are wrong.
---@param f fun(value: any): string?
---@return moonloop.schema.schema
function schema:check(f) end

---Its title in documents.
---@param text string
---@return moonloop.schema.schema
function schema:title(text) end

---Its description in documents.
---@param text string
---@return moonloop.schema.schema
function schema:describe(text) end

---Of `datetime`: the value is a number, seconds since 1970.
---@return moonloop.schema.schema
function schema:unix() end

---Of objects: all fields may be absent, and defaults are not filled in. This and the next three drop the name, unless one is
---given, and the checks of the object.
---@param name? string
---@return moonloop.schema.schema
function schema:partial(name) end

---Of objects: only these fields.
---@param names string[]
---@param name? string
---@return moonloop.schema.schema
function schema:pick(names, name) end

---Of objects: without these fields.
---@param names string[]
---@param name? string
---@return moonloop.schema.schema
function schema:omit(names, name) end

---Of objects: with more fields; one of a name that is there replaces it.
---@param name string|nil
---@param fields table
---@return moonloop.schema.schema
---@overload fun(self: moonloop.schema.schema, fields: table): moonloop.schema.schema
function schema:extend(name, fields) end
