---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.metrics
local metrics = {}

---@class moonloop.metrics.counter.opts
---@field labels? any[] a list of names (none)

---What only grows. `help` explains it to people.
---@param name string
---@param help any
---@param opts? moonloop.metrics.counter.opts
---@return moonloop.metrics.counter counter
function metrics.counter(name, help, opts) end

---@class moonloop.metrics.gauge.opts
---@field labels? any[] a list of names (none)
---@field across? string what those of several worker processes are together: `"sum"`, `"max"` or `"min"` (`"sum"`)

---What goes up and down.
---@param name string
---@param help any
---@param opts? moonloop.metrics.gauge.opts
---@return moonloop.metrics.gauge gauge
function metrics.gauge(name, help, opts) end

---@class moonloop.metrics.histogram.opts
---@field labels? any[] a list of names; not `le` (none)
---@field buckets? any[] upper bounds, ascending; 60 at most (`{ .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10 }`)

---How many values are at most 1, at most 5, and so on; their number and their sum.
---@param name string
---@param help any
---@param opts? moonloop.metrics.histogram.opts
---@return moonloop.metrics.histogram histogram
function metrics.histogram(name, help, opts) end

---All metrics, and the media type of the text: Prometheus's format 0.0.4, or OpenMetrics 1.0 if `accept`, an `Accept` header,
---prefers it. In OpenMetrics, buckets have the trace of a request as an example, where traces are on.
---`app:metrics` makes a route of it.
---@param accept? any
---@return string text
---@return any type
function metrics.text(accept) end

---@class moonloop.metrics.counter
local counter = {}

---Adds `n` (1), which is not negative. `values` is a table by label: `c:inc { shop = "north" }`, `c:inc(3, { shop = "north" })`.
---@param n? integer
---@param values? table<string, any>
---@overload fun(self: moonloop.metrics.counter, values?: table<string, any>)
function counter:inc(n, values) end

---The series with these values, with the methods of the metric: `series:inc(3)`. That is cheaper where the same is counted often.
---@param values table<string, any>
---@return any series
function counter:with(values) end

---@class moonloop.metrics.gauge
local gauge = {}

---Makes it `v`.
---@param v any
---@param values? table<string, any>
function gauge:set(v, values) end

---Adds `n` (1).
---@param n? integer
---@param values? table<string, any>
---@overload fun(self: moonloop.metrics.gauge, values?: table<string, any>)
function gauge:inc(n, values) end

---Subtracts it.
---@param n? integer
---@param values? table<string, any>
---@overload fun(self: moonloop.metrics.gauge, values?: table<string, any>)
function gauge:dec(n, values) end

---As that of counters.
---@param values table<string, any>
---@return any series
function gauge:with(values) end

---@class moonloop.metrics.histogram
local histogram = {}

---One more value.
---@param v any
---@param values? table<string, any>
function histogram:observe(v, values) end

---Calls `f(...)`, and observes how many seconds that took, with its waits; also where it raises. Of a histogram with labels, a
---series does this: `h:with { kind = "nightly" }:time(f)`.
---@param f function
---@param ... any
---@return any
---@return { n: integer, [integer]: any } results
function histogram:time(f, ...) end

---As that of counters.
---@param values table<string, any>
---@return any series
function histogram:with(values) end
