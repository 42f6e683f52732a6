---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.executor
local executor = {}

---Runs `f(...)` on the default pool; suspends until it is done and returns its results. While the queue is full it waits
---for room first. Cancelling the caller takes the job out of the queue, or interrupts its Lua code.
---@param f function
---@param ... any
---@return any ...
function executor.run(f, ...) end

---Starts a job on the default pool that runs beside its caller. Not allowed inside a job.
---@param f function
---@param ... any
---@return moonloop.executor.call call
function executor.start(f, ...) end

---Inside a job, that job.
---@return moonloop.executor.job? job
function executor.current() end

---The pool of `run` and `start`: a thread for each core, up to 40 while jobs block. Not allowed inside a job.
---@return moonloop.executor.pool pool
function executor.default() end

---@class moonloop.executor.new.opts
---@field threads? integer jobs that run at once, 1 to 1024; threads are started when they are needed (one per core)
---@field max_threads? integer threads while jobs block, up to 1024 (`threads`)
---@field idle_timeout? number seconds without a job after which a thread beyond `threads` ends (10)
---@field queue? integer jobs that may wait; beyond that `run` waits for room (1024)
---@field nice? integer added to the nice value of the threads, 0 to 19 (10)
---@field init? function runs in each worker's state before its first job (none)
---@field max_jobs? integer jobs after which a worker's state is replaced by a new one (no limit)
---@field max_memory? integer bytes of a worker's Lua state, at least 1 MB; a job that needs more fails with kind `"memory"` (no limit)
---@field max_message? integer bytes of one message (a call, its results, a value of its progress), at least 64 kB (1 GB)

---@param opts? moonloop.executor.new.opts
---@return moonloop.executor.pool pool
function executor.new(opts) end

---@class moonloop.executor.pool
local pool = {}

---As `ml.executor.run`, on this pool.
---@param f function
---@param ... any
---@return any ...
function pool:run(f, ...) end

---@class moonloop.executor.pool.map.opts
---@field chunk? integer values of one job (a quarter of a thread's share, at most 1000)

---Calls `f(value)` for each value of the list, in chunks, and returns the first results in order, as `ml.gather`
---does; `results.n` is their number.
---@param list any[]
---@param f function
---@param opts? moonloop.executor.pool.map.opts
---@return { n: integer, [integer]: any } results
function pool:map(list, f, opts) end

---As `ml.executor.start`, on this pool.
---@param f function
---@param ... any
---@return moonloop.executor.call call
function pool:start(f, ...) end

---@return table
function pool:stats() end

---How long a job would wait for a worker now, estimated from the queue and from what recent jobs took; 0 while a worker is
---free.
---@return number seconds
function pool:expected_wait() end

---Takes no more jobs, and suspends until those it has are done, including those of `pool:start`. A variable `local pool
---<close>` does the same; an error that leaves its block is raised in any case.
function pool:close() end

---@class moonloop.executor.stats
---@field threads integer jobs that can run at once now, and the most that could
---@field max_threads integer jobs that can run at once now, and the most that could
---@field queued integer jobs that wait, jobs that run
---@field running integer jobs that wait, jobs that run
---@field done integer jobs that have ended, by outcome
---@field failed integer jobs that have ended, by outcome
---@field cancelled integer jobs that have ended, by outcome
---@field wait_seconds number seconds for which all jobs together have waited for a worker
---@field recycled integer states that have been replaced
---@field workers any[] for each thread `{cpu = seconds, jobs =, memory = bytes}`; a new thread continues the figures of one that has ended
local stats = {}

---@class moonloop.executor.call
---@field task any The task that waits for the job, for `ml.gather` and the like.
local call = {}

---The job's results, or its error.
---@return any ...
function call:await() end

---`for value, ... in call:progress() do` gives the values that the job sends with `job:progress`, until the job has ended.
---@return (fun(...): ...) iterator
function call:progress() end

---As `task:cancel`.
---@param reason? any
---@return boolean
function call:cancel(reason) end

---As `task:status`.
---@return string
function call:status() end

---@class moonloop.executor.job
local job = {}

---Sends copies to the loop over `call:progress()`; the first value must not be nil. Suspends while 64 are unread. Returns
---false, and sends nothing, if nobody reads.
---@param value any
---@param ... any
---@return boolean
function job:progress(value, ...) end

---Whether the job has been cancelled; useful in its clean-up.
---@return boolean
function job:cancelled() end
