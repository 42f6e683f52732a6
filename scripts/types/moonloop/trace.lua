---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.trace
local trace = {}

---Calls `f(...)` in a span of that name, and returns what it returns. The span is a child of the one that the task runs in,
---or begins a trace; the tasks that `f` starts run in it, too. `attributes` is a table of names and values: strings, numbers,
---booleans, or lists of these. Works outside of tasks and in traces that are not sampled: then it only calls `f`.
---@param name string
---@param attributes table|nil
---@param f function
---@param ... any
---@return any ...
---@overload fun(name: string, f: function, ...: any): ...
function trace.span(name, attributes, f, ...) end

---The span that the task runs in. Where it runs in none, or nothing is traced, an object whose methods do nothing.
---@return moonloop.trace.span span
function trace.current() end

---Calls `f(...)` as a part of another program's trace, for what arrives by other ways than HTTP: the two texts are what
---`span:traceparent()` gave there. Either may be nil. A malformed `traceparent` is ignored, as the standard asks: `f` is
---called all the same.
---@param traceparent any
---@param tracestate any
---@param f function
---@param ... any
---@return any ...
function trace.continue(traceparent, tracestate, f, ...) end

---@class moonloop.trace.start.opts
---@field endpoint? string the collector; `/v1/traces` is added (`http://localhost:4318`)
---@field headers? table sent with every request, as a key for the collector is (none)
---@field timeout? number seconds for a request (10)
---@field service? string the attribute `service.name` (`unknown_service:moonloop`)
---@field resource? table further attributes of this process. `host.name`, `process.pid` and `telemetry.sdk.*` are set (none)
---@field sample? number which part of the traces is recorded, from 0 to 1 (1)
---@field parent_based? boolean a trace that another program has begun is recorded if it was sampled there; `sample` is for the others (true)
---@field queue? integer spans that may wait; more are dropped and counted (2048)
---@field batch? integer spans in a request (512)
---@field delay? number seconds after which fewer than a batch are sent (5)
---@field ca? string for https, as for `ml.http.client`
---@field cert? string for https, as for `ml.http.client`
---@field key? string for https, as for `ml.http.client`

---Starts the export, or goes on with other settings. Programs that are configured by the environment need not call it: an
---option that is not given is taken from there. False: nothing was started, since `OTEL_SDK_DISABLED` is true. A wrong value
---of the environment is reported and ignored; a wrong option raises.
---@param opts? moonloop.trace.start.opts
---@return boolean
function trace.start(opts) end

---Sends what waits, for tests and before a pause. Suspends until that is done, a try has failed (`nil, err` of kind
---`"network"`), or the time is over (kind `"timeout"`; 10 s by default).
---@param seconds? number
---@return true?
---@return moonloop.error? err
function trace.flush(seconds) end

---Does the same, then exports nothing any more.
---@param seconds? number
---@return true?
---@return moonloop.error? err
function trace.stop(seconds) end

---Counts of spans of this process.
---@return moonloop.trace.stats stats
function trace.stats() end

---@class moonloop.trace.stats
---@field recorded integer sampled spans that have ended
---@field exported integer those that the collector has taken
---@field refused integer those that it has not
---@field dropped integer those that came while the queue was full, or waited when the export was stopped
---@field queued integer those that wait, or are being sent
local stats = {}

---@class moonloop.trace.span
local span = {}

---Sets an attribute; `span:set{name = value, ...}` sets several. A value of nil is ignored.
---@param name string
---@param value any
---@return moonloop.trace.span span
function span:set(name, value) end

---Notes that something has happened now.
---@param name string
---@param attributes? table
---@return moonloop.trace.span span
function span:event(name, attributes) end

---`"ok"`, `"error"`, or `"unset"`, which it is at first. `"ok"` stays, whatever comes then.
---@param status integer
---@param message? string
---@return moonloop.trace.span span
function span:status(status, message) end

---Gives it another name.
---@param name string
---@return moonloop.trace.span span
function span:rename(name) end

---Is it recorded? For attributes that are dear to compute.
---@return boolean
function span:recorded() end

---The ids in hexadecimal.
---@return any? trace_id
---@return any? span_id
function span:ids() end

---The values of the headers by which another program continues the trace (W3C Trace Context); `tracestate` is nil if there is
---none. `ml.http` sends them by itself.
---@return any? traceparent
---@return any? tracestate
function span:traceparent() end
