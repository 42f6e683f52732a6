---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.task
---@field name any The name shown in reports and dumps: `"task at app.lua:12"`, or what a script has assigned. It is the only field that can be set.
---@field id any An integer, different for every task of the runtime.
local task = {}

---Suspends until the task has ended and returns all its results. Any number of tasks may await one. Awaiting a task that
---has ended does not suspend.
---@return any ...
function task:await() end

---Cancels the task and its children: the call that each of them waits in raises an error of kind `"cancelled"`, whose
---`reason` field is `reason`, any value. Does not wait until they have ended. Returns false if the task had already ended;
---cancelling twice changes nothing. A task that has not run yet never will.
---@param reason? any
---@return boolean
function task:cancel(reason) end

---`"pending"` (has not run yet), `"running"`, `"suspended"`, `"done"`, `"failed"` or `"cancelled"`.
---@return string
function task:status() end

---For a live task, where it is; for a failed one, where the error was raised; otherwise `""`.
---@return string
function task:traceback() end

---@class moonloop.group
local group = {}

---Starts a task of the group; takes the same arguments as `ml.spawn`. The group's tasks may call it,
---too. Raises if the group is being cancelled or its block has been left.
---@param f function
---@param ... any
---@return moonloop.task
function group:spawn(f, ...) end

---Cancels the group's tasks and its block, which then ends without an error. If a block with `<close>` is itself waiting
---at that moment, the cancel is raised and leaves the block; with `ml.group(f)` it stops at the end of `f`.
---@param reason? any
function group:cancel(reason) end

---@class moonloop.deadline
---@field expired any Whether the time is over.
local deadline = {}

---Sets the end to `seconds` from now. Raises if the deadline has passed or its block has been left.
---@param seconds number
function deadline:extend(seconds) end

---@class moonloop.future
local future = {}

---Sets the values. Settling a future twice is an error.
---@param ... any
function future:resolve(...) end

---Sets the error, any value. An error that nobody awaits within a second is reported like a failed task.
---@param err moonloop.error
function future:reject(err) end

---Suspends until the future is settled; returns its values or raises its error. May be called any number of times.
---@return any ...
function future:await() end

---@class moonloop.event
local event = {}

---Lets all waiting tasks continue; later ones do not wait.
function event:set() end

---From now on tasks wait again.
function event:clear() end

---Suspends until the event is set.
function event:wait() end

---@return boolean
function event:is_set() end

---@class moonloop.semaphore
local semaphore = {}

---Takes a permit; suspends until there is one.
function semaphore:acquire() end

---Takes a permit if one is free now.
---@return boolean
function semaphore:try_acquire() end

---Gives a permit back. Raises if more than `max` would be free.
function semaphore:release() end

---For `local _ <close> = semaphore:hold()`: takes a permit, suspending until there is one, and gives it back when the block
---is left, however that happens.
---@return table permit
function semaphore:hold() end

---@class moonloop.lock
local lock = {}

---Takes the lock; suspends until it is free.
function lock:acquire() end

---Takes the lock if it is free.
---@return boolean
function lock:try_acquire() end

---Releases it.
function lock:release() end

---For `local _ <close> = lock:hold()`: takes the lock until the block is left.
---@return table permit
function lock:hold() end

---@class moonloop.queue
local queue = {}

---Adds a value, which must not be nil; suspends while the queue is full.
---@param value any
function queue:put(value) end

---The same without suspending: returns false if the queue is full.
---@param value any
---@return boolean
function queue:try_put(value) end

---Takes the oldest value; suspends until there is one.
---@return any value
function queue:get() end

---The same without suspending: returns nil if the queue is empty.
---@return any? value
function queue:try_get() end

---`for value in queue:items() do` takes values until the queue is closed and empty.
---@return (fun(...): ...) iterator
function queue:items() end

---How many values can be taken without waiting.
---@return integer
function queue:len() end

---No more values can be put; those inside can still be taken. Closing again is harmless.
function queue:close() end

---@class moonloop.var
local var = {}

---The running task's value, or the default.
---@return any value
function var:get() end

---Sets the value for the running task and the tasks that it starts from now on. nil stands for the default.
---@param value any
function var:set(value) end

---Calls `f(...)` with the value and returns its results; afterwards the old value is restored.
---@param value any
---@param f function
---@param ... any
---@return any ...
function var:with(value, f, ...) end

---@class moonloop.entry
---@field task moonloop.task the task itself
---@field id integer|string as in `task.id`, `task.name`
---@field name integer|string as in `task.id`, `task.name`
---@field status string as `task:status()` gives it
---@field waiting_for string a description of what it waits for; nil if it does not wait
---@field age number seconds since it was spawned
---@field cpu number seconds of CPU time; sampled, so one that ran for less than 4 ms may show 0
---@field parent integer the parent's id; nil if it has none
---@field spawned_at string `"app.lua:12"`; nil if a program in C started it
local entry = {}
