---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.jobs
local jobs = {}

---@class moonloop.jobs.new.opts
---@field queue? string the queue of jobs that are pushed without one, and of workers without `queues` (`"default"`)
---@field keep? number seconds for which jobs that have ended are kept, with their arguments and errors (not kept)

---Jobs in the database `db` of `ml.sql.open`. Needs no connection yet. The tables, `moonloop_jobs` and others of
---that name, are made when they are first needed, by migrations of their own (noted in `moonloop_jobs_migrations`), in
---PostgreSQL in the first schema of the `search_path`.
---@param db moonloop.sql.db
---@param opts? moonloop.jobs.new.opts
---@return moonloop.jobs.jobs jobs
function jobs.new(db, opts) end

---@class moonloop.jobs.jobs
local jobs = {}

---@class moonloop.jobs.jobs.define.opts
---@field attempts? integer runs that may fail, before the job is dead. A run counts when it begins (25)
---@field backoff? function|table seconds until the next attempt: `f(attempt, err)`, or `{base =, max =, jitter =}` (see below)
---@field timeout? number seconds that a run may take: see what ends a run (no limit)
---@field cpu? number seconds of CPU time that a run may take, see limits.md (no limit)
---@field offload? boolean runs on another core, by `ml.executor`: `f` and its upvalues are copied (false)
---@field concurrency? integer how many jobs of this name run at once, in all queues and on all machines together (no limit)
---@field keep? number seconds for which its jobs are kept when they have ended (that of `ml.jobs.new`)
---@field args? moonloop.schema.schema what the arguments have to be, see `ml.schema`: checked when a job is pushed, which then has the parsed value (none)

---Runs of jobs of that name are calls `f(args, job)`, each in a task of its own. A run fails when it raises, or returns nil
---and an error. Everybody who pushes or works has to define the same names: put that into a module that both load.
---Workers leave jobs alone whose names they do not know.
---@param name string
---@param opts moonloop.jobs.jobs.define.opts|nil
---@param f fun(args: any, job: moonloop.jobs.job): any
---@overload fun(self: moonloop.jobs.jobs, name: string, f: fun(args: any, job: moonloop.jobs.job): any)
function jobs:define(name, opts, f) end

---@class moonloop.jobs.jobs.push.opts
---@field tx? moonloop.sql.tx of the same database: the job exists exactly if it commits (none)
---@field delay? number seconds until the job is due (0)
---@field at? number the moment when the job is due, in seconds since 1970 (now)
---@field priority? integer those with lower numbers are taken first, 0 to 1,000,000 (0)
---@field queue? string where it waits, until a worker takes it that has this queue (that of `ml.jobs.new`)
---@field unique? string a key: there is no second job of it until this one is done, dead or cancelled. Keys are those of the whole database (none)
---@field unique_for? number seconds for which the key is taken instead, from now on, whatever becomes of the job (none)

---Makes a job. `args` is a value that JSON can hold, or nil. `created` is false where a key was taken: then `id` is that of the job that
---has it.
---@param name string
---@param args any
---@param opts? moonloop.jobs.jobs.push.opts
---@return integer? id
---@return boolean|moonloop.error created
function jobs:push(name, args, opts) end

---Makes many jobs in one journey, all or none. Each item is a list `{name, args, opts}` with the options of `jobs:push` but for `tx`,
---which is the one option here. The id of a key that was taken is that of the job that has it.
---@param list { [1]: string, [2]: any, [3]: moonloop.jobs.jobs.push.opts? }[]
---@param opts? { tx: moonloop.sql.tx }
---@return integer[]? ids
---@return moonloop.error? err
function jobs:push_all(list, opts) end

---@class moonloop.jobs.jobs.every.opts
---@field timezone? string whose clocks a cron expression goes by: an IANA name such as `"Europe/Berlin"` (the system's tzdata) (`"UTC"`)
---@field key? string the schedule's name, where a job has several (the job's name)

---Pushes jobs of that name at certain times, once in the whole cluster, however many workers have the same line. `when` is a
---cron expression, or a number of seconds, at least 1. The job has to be defined before, and its arguments are always
---the same.
---@param when string|number
---@param name string
---@param args any
---@param opts? moonloop.jobs.jobs.every.opts
function jobs:every(when, name, args, opts) end

---@class moonloop.jobs.jobs.work.opts
---@field queues? table from the names of queues to how many of their jobs run at once here (`{ [queue] = 10 }`)

---Starts to take jobs, in tasks of the running process, and returns at once. Beside a server it belongs in
---`app:on_start`.
---@param opts? moonloop.jobs.jobs.work.opts
---@return moonloop.jobs.worker worker
function jobs:work(opts) end

---One job; nil, nil if there is none any more.
---@param id integer
---@return table?
---@return moonloop.error? err
function jobs:get(id) end

---@class moonloop.jobs.jobs.list.opts
---@field state? string one of the states above (all that have not ended)
---@field name? string (all)
---@field queue? string (all)
---@field limit? integer at most so many, up to 10,000 (100)
---@field after? integer those with greater ids, for the next page (0)

---Jobs in the order of their ids, without `errors` and `progress`.
---@param opts? moonloop.jobs.jobs.list.opts
---@return table[]?
---@return moonloop.error? err
function jobs:list(opts) end

---How many jobs there are: `ready`, `scheduled`, `running` and `dead`, the same in `queues` and `names` for each of them, and
---`workers`, the number of workers.
---@return table?
---@return moonloop.error? err
function jobs:stats() end

---A dead job becomes ready, with all its attempts; a scheduled one is ready now. False: there is no such job.
---@param id integer
---@return boolean?
---@return moonloop.error? err
function jobs:retry(id) end

---A job that is ready, scheduled or dead ends as cancelled. If it runs, its task is cancelled by its worker, within a second or
---two (what ends a run), and it is not tried again. False: there is no such job.
---@param id integer
---@return boolean?
---@return moonloop.error? err
function jobs:cancel(id) end

---Runs what is due, one after the other in this task, until there is nothing more, and returns how many runs were done and how many
---failed. Failed ones are due later: with the virtual clock, `ml.sleep` makes them so at once.
---@return integer done
---@return integer failed
function jobs:drain() end

---@class moonloop.jobs.job
---@field id integer An integer.
---@field name string
---@field queue string
---@field attempt integer The number of this run, from 1.
---@field attempts integer How many there may be.
local job = {}

---Shows a value of JSON to `jobs:get`. It is written down once a second, and only if it has changed.
---@param value any
function job:progress(value) end

---Whether the job is being cancelled, or its `timeout` is over: for code that computes, between two of its steps. It does not wait.
---@return boolean
function job:cancelled() end

---@class moonloop.jobs.worker
---@field done integer How many jobs it has finished.
---@field late integer How many it has finished that others had been given meanwhile.
local worker = {}

---Takes no more jobs, lets those that run go on for `drain` seconds (0), cancels the others, and gives them back at once
---without counting the attempt. Returns when that is done. The end of the task that called `jobs:work`, by a cancel, does the same.
---@param drain? number
function worker:stop(drain) end

---Suspends until the worker has ended.
function worker:wait() end

---@class moonloop.jobs.entry
---@field id any
---@field name any
---@field queue any
---@field state any
---@field priority any
---@field args any its arguments
---@field attempt integer runs so far, and how many there may be
---@field attempts integer runs so far, and how many there may be
---@field pushed_at number seconds since 1970
---@field started_at number seconds since 1970
---@field finished_at number seconds since 1970
---@field at number when it is due, of scheduled ones
---@field unique string its key
---@field cancelling boolean true: it runs, and is to be cancelled
---@field errors any[] of the last ten attempts that failed: `{attempt =, at =, message =, kind =, traceback =}`, at most 8 kB each
---@field progress any what the run has shown last
local entry = {}
