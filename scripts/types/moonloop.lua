---@meta moonloop
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop
---@field executor moonloop.executor
---@field fs moonloop.fs
---@field http moonloop.http
---@field jobs moonloop.jobs
---@field json moonloop.json
---@field jwt moonloop.jwt
---@field log moonloop.log
---@field metrics moonloop.metrics
---@field net moonloop.net
---@field password moonloop.password
---@field process moonloop.process
---@field redis moonloop.redis
---@field schema moonloop.schema
---@field signal moonloop.signal
---@field sql moonloop.sql
---@field time moonloop.time
---@field trace moonloop.trace
---@field web moonloop.web
---@field ws moonloop.ws
local moonloop = {}

---Whether `v` is one of moonloop's error objects.
---@param v any
---@return boolean
function moonloop.is_error(v) end

---Suspends the task for at least that long, by the loop's clock. `ml.sleep(0)` lets every ready task run once.
---@param seconds number
function moonloop.sleep(seconds) end

---The loop's monotonic clock. It has no relation to the time of day: subtract two readings. A sleep never ends before this
---clock says so. Specs can make it virtual.
---@return number seconds
function moonloop.now() end

---@class moonloop.every.opts
---@field immediate? boolean the first beat is at once, and the others one period earlier (false)

---`for n in ml.every(seconds) do` runs its body at each beat, without drift: beat `n` is due `n` times `seconds` after the
---call, however long the body takes. Beats that are missed while it runs are skipped, and `n` counts them: 1, 2, 5.
---@param seconds number
---@param opts? moonloop.every.opts
---@return (fun(...): ...) iterator
function moonloop.every(seconds, opts) end

---Starts `f(...)` as a child of the running task. It first runs on the next pass of the loop. `f` is a function or anything
---else that can be called. Cancelling a task cancels its children; a task that returns or fails leaves them running.
---@param f function
---@param ... any
---@return moonloop.task
function moonloop.spawn(f, ...) end

---The running task; nil outside of tasks (in a C program that runs code in the main state).
---@return moonloop.task
function moonloop.current() end

---Runs all items at once, suspends until they have ended, and returns the first result of each, in order.
---@param item any
---@param ... any
---@return any ...
function moonloop.gather(item, ...) end

---Returns all results of the first item to end, or raises its error; the others are cancelled. `ml.race(list)` takes a
---list. Without items it raises an error, since it would never end.
---@param item any
---@param ... any
---@return any ...
function moonloop.race(item, ...) end

---Returns all results of the first item that succeeds; the others are cancelled. `ml.any(list)` takes a list.
---@param item any
---@param ... any
---@return any ...
function moonloop.any(item, ...) end

---@class moonloop.map.opts
---@field limit? integer how many calls run at once, at least 1 (all)

---Calls `f(value)` for each value of the list, several at once, and returns the first results in order, as `ml.gather`
---does; `results.n` is their number.
---@param list any[]
---@param f fun(value: any): any
---@param opts? moonloop.map.opts
---@return { n: integer, [integer]: any } results
function moonloop.map(list, f, opts) end

---@class moonloop.wait.opts
---@field mode? string wait until `"all"` have ended, the `"first"` one has ended, or the first one has failed (`"error"`) (`"all"`)
---@field timeout? number seconds after which it returns in any case (no limit)

---Suspends until tasks of the list have ended, and returns two lists, each in the order of `tasks`. Cancels nothing and
---raises none of their errors; a failed task counts as ended.
---@param tasks moonloop.task[]
---@param opts? moonloop.wait.opts
---@return moonloop.task[] done
---@return moonloop.task[] pending
function moonloop.wait(tasks, opts) end

---`for task in ml.as_completed(tasks) do` gives the tasks in the order in which they end. Cancels nothing. If the loop is
---left early, failures that it has not returned are reported.
---@param tasks moonloop.task[]
---@return (fun(...): ...) iterator
function moonloop.as_completed(tasks) end

---For `local g <close> = ml.group()`: leaving the block waits for all tasks of the group.
---@return moonloop.group group
function moonloop.group() end

---Runs `f(...)` in the calling task and returns its results, or, if the time is over first, `nil, err` with an error of
---kind `"timeout"`. The call that `f` waits in is cancelled, and the clean-up of `f` is over before `ml.timeout` returns.
---Errors of `f` are raised.
---@param seconds number
---@param f function
---@param ... any
---@return any ...
function moonloop.timeout(seconds, f, ...) end

---For `local d <close> = ml.deadline(seconds)`: when the time is over, each wait inside the block raises an error of kind
---`"timeout"`. Deadlines nest; if several have passed, the outermost is raised. A deadline that is not kept in a
---to-be-closed variable lasts until the task ends or it is collected, which is reported on standard error.
---@param seconds number
---@return moonloop.deadline deadline
function moonloop.deadline(seconds) end

---Runs `f(...)` in the calling task; a cancel or a limit from outside waits until `f` is done. Then `ml.shield` returns
---its results, and the next wait raises. Use it for clean-up that has to wait.
---@param f function
---@param ... any
---@return any ...
function moonloop.shield(f, ...) end

---A `pcall` that also catches the cancellation of the running task, which `pcall` and `xpcall` let through. If a cancelled
---task continues, its cancel is raised again at its next wait.
---@param f function
---@param ... any
---@return true|false
---@return any ...
function moonloop.catch(f, ...) end

---A value that comes later.
---@return moonloop.future future
function moonloop.future() end

---A flag that tasks can wait for; it starts unset.
---@return moonloop.event event
function moonloop.event() end

---`initial` permits are free at first; at most `max` can be free. The default of `max` is `initial`, or no maximum if
---`initial` is 0.
---@param initial integer
---@param max? integer
---@return moonloop.semaphore semaphore
function moonloop.semaphore(initial, max) end

---A semaphore with one permit that belongs to the task that took it. Taking it twice in one task is an error, and so is
---releasing another task's.
---@return moonloop.lock lock
function moonloop.lock() end

---Passes values between tasks, in order. `capacity` is how many values the queue can hold: nil for any number; with 0,
---each value is handed over directly from one task to another.
---@param capacity? integer
---@return moonloop.queue queue
function moonloop.queue(capacity) end

---A variable that has its own value in each task. A task starts with a copy of its parent's values. `name` is used in
---messages.
---@param name string
---@param default? any
---@return moonloop.var var
function moonloop.var(name, default) end

---Every live task except the host's own, parents first, as a table:
---@return moonloop.entry[]
function moonloop.tasks() end

---@class moonloop.dump.opts
---@field traceback? boolean also where each task is (false)

---The same as a readable tree; tasks that are alike share one line with their count.
---@param opts? moonloop.dump.opts
---@return string text
function moonloop.dump(opts) end

---@class moonloop.settings.opts
---@field schema? moonloop.schema.schema|table an object schema or a table of fields, which may stand without the name: `ml.settings { schema }`. One has to be there (`opts[1]`)
---@field env_prefix? string what the names of variables begin with: `"SHOP_"` (`""`)
---@field dotenv? string|any[] a file, or several, of which the last counts most. A file that does not exist has no values. Relative paths are those of the working directory (none)
---@field secrets_dir? string|any[] a folder with a file for each secret, as Docker and systemd have it: `/run/secrets/db_password` (none)

---Reads all values once, where it is called: in a module of its own, `settings.lua`, that others require. A value is looked
---for in the environment, then in the files `dotenv`, then in the folders `secrets_dir`; then the schema's default counts. It
---reads files at once, on the loop.
---@param opts moonloop.settings.opts
---@return table settings
function moonloop.settings(opts) end

return moonloop
