---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.fs
local fs = {}

---What is at `path`, to its end. More than `max` bytes are an error of kind `"limit"`. A FIFO or a terminal is read until its
---end comes; a thread of the pool waits for that.
---@param path string
---@param max? integer
---@return string? text
---@return moonloop.error? err
function fs.read(path, max) end

---@class moonloop.fs.write.opts
---@field atomic? boolean write a new file beside it, put it on the disk, and rename it: whoever reads sees the old content or the new, also after a crash. The file keeps its mode and, if we may, its owner; a link stays a link, and what it leads to is replaced (false)
---@field append? boolean write behind what is there. Not with `atomic` (false)
---@field sync? boolean return when the content, and the name of a new file, are on the disk. `atomic` puts the content there before it renames the file, unless `sync` is false (false)
---@field mode? string|integer the permissions of a new file, less the process's umask: octal digits, or an integer (`"666"`)

---Writes the string or number `data` into the file at `path`, which is made if it does not exist. If that fails (the disk is
---full, say), a new file is removed, and an existing one has its old content: room for the new content is reserved before the
---first byte is written over. Cancelled, it leaves the old content or all of the new.
---@param path string
---@param data string
---@param options? moonloop.fs.write.opts
---@return true?
---@return moonloop.error? err
function fs.write(path, data, options) end

---Copies the content of a file, and the permissions if `to` is new. What is at `to` is replaced when the copy is complete.
---@param from string
---@param to string
---@return true?
---@return moonloop.error? err
function fs.copy(from, to) end

---Opens a file as a stream. The modes are those of `io.open`: `"r"` (default), `"w"`, `"a"`, `"r+"`, `"w+"`, `"a+"`,
---with an optional `"b"`.
---@param path string
---@param mode? string
---@return moonloop.fs.file? file
---@return moonloop.error? err
function fs.open(path, mode) end

---A new file in `TMPDIR`, or else in `/tmp`, open for reading and writing, that only this user may open. It is removed when
---it is closed: by leaving the block of `local file <close>`, or by `file:close()`, which waits for that.
---@return moonloop.fs.file? file
---@return moonloop.error? err
function fs.temp_file() end

---Of what is at `path`, or where links lead from there.
---@param path string
---@return moonloop.fs.about? about
---@return moonloop.error? err
function fs.stat(path) end

---The same of a link itself.
---@param path string
---@return moonloop.fs.about? about
---@return moonloop.error? err
function fs.lstat(path) end

---Is there something at `path`, also behind links? False for what is not there; `nil, err` if that cannot be told, as in a folder
---that may not be entered.
---@param path string
---@return boolean?
---@return moonloop.error? err
function fs.exists(path) end

---Sets the permissions: octal digits (`"644"`), or an integer.
---@param path string
---@param mode string
---@return true?
---@return moonloop.error? err
function fs.chmod(path, mode) end

---Sets the times of its last read and change in seconds since 1970. `atime` is now by default, `mtime` is `atime`.
---@param path string
---@param atime? number
---@param mtime? number
---@return true?
---@return moonloop.error? err
function fs.utime(path, atime, mtime) end

---Gives it another name on the same file system; a file that is there is replaced.
---@param from string
---@param to string
---@return true?
---@return moonloop.error? err
function fs.rename(from, to) end

---@class moonloop.fs.remove.opts
---@field recursive? boolean also what is in the folder. Links are removed, and never followed, not even if somebody exchanges a folder for one meanwhile (false)

---Removes a file, a link (not what it leads to), or an empty folder.
---@param path string
---@param options? moonloop.fs.remove.opts
---@return true?
---@return moonloop.error? err
function fs.remove(path, options) end

---Gives a file another name beside the one it has.
---@param path string
---@param new string
---@return true?
---@return moonloop.error? err
function fs.link(path, new) end

---Makes a symbolic link at `path` that leads to `target`.
---@param target string
---@param path string
---@return true?
---@return moonloop.error? err
function fs.symlink(target, path) end

---Where a link leads, as it was written.
---@param path string
---@return string? target
---@return moonloop.error? err
function fs.readlink(path) end

---The absolute path without links and dots.
---@param path string
---@return string? path
---@return moonloop.error? err
function fs.realpath(path) end

---The path of `name` below `dir`, for names that come from outside: nil and an error with the code `"OUTSIDE"` where it would lead
---out of it (an absolute name, too many `..`), or has a NUL. It is about the text alone and waits for nothing. Links are not
---known: do not use it where others may make links in `dir`.
---@param dir moonloop.fs.dir
---@param name string
---@return string? path
---@return moonloop.error? err
function fs.safe_join(dir, name) end

---The names in a folder, sorted, without `.` and `..`.
---@param path string
---@return string[]? names
---@return moonloop.error? err
function fs.list(path) end

---@class moonloop.fs.walk.opts
---@field descend? function gets the entry of a folder, and says whether to go into it

---For loops: everything below a folder. A folder comes before what is in it; the names of a folder are in order. Links are
---not followed. A folder that is gone when its turn comes is left out; one that cannot be read raises the error.
---@param path string
---@param options? moonloop.fs.walk.opts
---@return (fun(...): ...)? iterator
---@return moonloop.error? err
function fs.walk(path, options) end

---The paths that fit a pattern, sorted. `*` is any part of a name, `?` one character, `[a-z]` and `[!a-z]` one of some,
---`{one,two}` either, `**` any number of folders (not through links); `\` takes the meaning from the next character. A name
---that begins with a dot has to be asked for with a dot. Folders that cannot be entered are passed over.
---@param pattern string
---@return string[]? paths
---@return moonloop.error? err
function fs.glob(pattern) end

---@class moonloop.fs.mkdir.opts
---@field parents? boolean also make the folders that lead there; a folder that exists is no error (false)
---@field mode? string|integer its permissions, less the umask (`"777"`)

---@param path string
---@param options? moonloop.fs.mkdir.opts
---@return true?
---@return moonloop.error? err
function fs.mkdir(path, options) end

---A new folder in `TMPDIR`, or else in `/tmp`, that only this user may enter. It is removed with what is in it when the block of
---`local dir <close>` is left, or by `dir:close()`.
---@return moonloop.fs.dir? dir
---@return moonloop.error? err
function fs.temp_dir() end

---@class moonloop.fs.watch.opts
---@field recursive? boolean also what happens in the folders below, the new ones included. Links are not followed; folders that may not be read are left out (false)

---For loops: what happens to the file at `path`, or in the folder there. Returns when all that is there is known: every later
---change is told. Leaving the loop closes it; without a loop, `local watch <close> = ...` and `watch:next()` do the same. Linux
---only (inotify).
---@param path string
---@param options? moonloop.fs.watch.opts
---@return moonloop.fs.watch? watch
---@return moonloop.error? err
function fs.watch(path, options) end

---@class moonloop.fs.file: moonloop.stream
---@field path string the path with which it was opened
local file = {}

---As `file:seek` of `io`: `"set"`, `"cur"` (default) or `"end"`. Returns the place in bytes from the beginning.
---@param whence? string
---@param offset? integer
---@return integer? place
---@return moonloop.error? err
function file:seek(whence, offset) end

---Returns when what was written is on the disk.
---@return moonloop.fs.file? file
---@return moonloop.error? err
function file:sync() end

---Cuts the file off at `size` bytes, or fills it with zeros up to there; by default at its place, which stays the same.
---@param size? integer
---@return moonloop.fs.file? file
---@return moonloop.error? err
function file:truncate(size) end

---@class moonloop.fs.about
---@field type string `"file"`, `"directory"`, `"link"`, `"fifo"`, `"socket"`, `"char"` or `"block"`
---@field size integer bytes
---@field mode integer permissions; `("%o"):format(about.mode)` writes them as usual
---@field mtime number when the content was changed, when it was read, and when anything of it was changed: seconds since 1970, with a fraction
---@field atime number when the content was changed, when it was read, and when anything of it was changed: seconds since 1970, with a fraction
---@field ctime number when the content was changed, when it was read, and when anything of it was changed: seconds since 1970, with a fraction
---@field uid integer its owner and group
---@field gid integer its owner and group
---@field nlink integer how many names it has
---@field ino integer its number, and that of its file system
---@field dev integer its number, and that of its file system
local about = {}

---@class moonloop.fs.entry
---@field path string `path`, and the way to it from there
---@field name string the last part of that
---@field type string as `about.type`; links are `"link"`
---@field depth integer 1 for what is in the folder itself
local entry = {}

---@class moonloop.fs.dir
---@field path string where it is
local dir = {}

---Removes the folder and what is in it. Suspends, also in clean-up.
---@return true?
---@return moonloop.error? err
function dir:close() end

---@class moonloop.fs.event
---@field kind string `"created"`, `"changed"` (content, mode or times; or another file has taken its place), `"removed"`, `"renamed"`, or `"overflow"` (some events are lost: look at everything)
---@field path string what it is about; begins with `path` as it was given
---@field from string for `"renamed"`: the path before
local event = {}

---@class moonloop.fs.watch
local watch = {}

---Waits for the next event. nil when the watch is closed. Raises an error of kind `"fs"` if the system cannot go on. One task
---at a time.
---@return moonloop.fs.event? event
function watch:next() end

---Stops. A task that waits gets nil.
function watch:close() end
