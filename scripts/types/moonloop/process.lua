---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.process
local process = {}

---@class moonloop.process.run.opts
---@field cwd? string the folder in which it starts. A program such as `./tool` is looked for there (ours)
---@field env? table variables that are added to our environment or replace those in it; `false` removes one (none)
---@field clear_env? boolean begin with an empty environment instead of ours (false)
---@field shell? string a text for `/bin/sh -c` instead of a program; the arguments are its `$1`, `$2` and so on (none)
---@field stdin? string|function|moonloop.stream what it reads: a text; a function that returns the next piece, and nil at the end, or nil and an error; a stream, up to its end. `false` is nothing (nothing)
---@field stdout? string where what it prints goes, instead of to the result: `"inherit"` (where ours goes), `"null"` (nowhere), or the path of a file, which is emptied first. `stderr` can be `"stdout"`: both go there together
---@field stderr? string where what it prints goes, instead of to the result: `"inherit"` (where ours goes), `"null"` (nowhere), or the path of a file, which is emptied first. `stderr` can be `"stdout"`: both go there together
---@field max_output? integer bytes that it may print to the result, on both channels together. One that prints more is ended: `nil, err` of kind `"limit"` (16 MB)
---@field timeout? number seconds. A program that takes longer is ended: `nil, err` of kind `"timeout"`; `err.result` has what it printed (none)
---@field kill_after? number seconds between SIGTERM and SIGKILL where it is ended (5)
---@field group? boolean make it a process group of its own, which is ended as a whole: its children, too (false)
---@field check? boolean any code but 0 is an error: `nil, err` with the code `"exit"` or `"signal"`, and the end of its standard error in the message (false)

---Starts a program, and waits until it has ended and what it printed has been read. Suspends. `spec` is a table with the
---program, its arguments (strings and numbers, which it gets as they are: there is no shell), and options:
---@param spec moonloop.process.run.opts
---@return moonloop.process.result? result
---@return moonloop.error? err
function process.run(spec) end

---@class moonloop.process.spawn.opts
---@field cwd? any as for `run`
---@field env? any as for `run`
---@field clear_env? any as for `run`
---@field shell? any as for `run`
---@field stdin? string|function|moonloop.stream|false as for `run`; `false` is nothing (a pipe)
---@field stdout? string as for `run` (pipes)
---@field stderr? string as for `run` (pipes)
---@field timeout? any as for `run`. With `group`, leaving the block ends what is left of its group, too, if the program itself has ended before
---@field kill_after? any as for `run`. With `group`, leaving the block ends what is left of its group, too, if the program itself has ended before
---@field group? any as for `run`. With `group`, leaving the block ends what is left of its group, too, if the program itself has ended before

---Starts a program and returns at once, once it has been loaded. `spec` is as for `run`, without `check` and `max_output`. Where an
---option does not say something else, the program's standard input, output and error are pipes, whose other ends are the
---streams of the process: read what it prints, or it stops when a pipe is full.
---@param spec moonloop.process.spawn.opts
---@return moonloop.process.process? p
---@return moonloop.error? err
function process.spawn(spec) end

---@class moonloop.process.result
---@field ok boolean whether its code is 0
---@field code integer its exit code; nil if a signal has ended it
---@field signal string the signal that has ended it: `"TERM"`; or nil
---@field stdout string what it printed; nil where that went elsewhere
---@field stderr string what it printed; nil where that went elsewhere
local result = {}

---@class moonloop.process.process
---@field pid integer the number of the process
---@field stdin moonloop.stream writes what the program reads; nil if that is something else
---@field stdout moonloop.stream read what it prints; nil if that goes elsewhere
---@field stderr moonloop.stream read what it prints; nil if that goes elsewhere
local process = {}

---Waits until the program has ended. May be called again, and by several tasks. The result has no `stdout` and `stderr`. With
---`timeout`: `nil, err` of kind `"timeout"` where the program has been ended by it. A cancel only ends the wait. Suspends.
---@return moonloop.process.result? result
---@return moonloop.error? err
function process:wait() end

---Sends a signal, given by its name (`"HUP"`) or number, to the program, or to its whole group if it has one; `"TERM"` by
---default. False if it has ended.
---@param signal? string
---@return boolean
function process:kill(signal) end

---Closes its streams and ends the program as a cancel does: SIGTERM, SIGKILL after `kill_after`. Waits until it has ended;
---a cancel does not cut that short. Does nothing if it has ended and is called again.
function process:close() end
