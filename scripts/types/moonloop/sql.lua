---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.sql
---@field null any NULL, where nil cannot stand: in the tables of `insert`, `update` and conditions. It is `ml.json.null`.
local sql = {}

---@class moonloop.sql.open.opts
---@field pool? integer connections at most. SQLite: readers at most, beside the one connection that writes (10)
---@field acquire? number seconds that a statement may wait for a connection; then the error is of kind `"pool"` and names who has them (10)
---@field timeout? number seconds that a statement may take; of `rows` each wait. Not for `listen` and `copy_in`, `copy_out` (30)
---@field prepare? boolean statements are prepared once a connection. `false` for pgbouncer in transaction mode (true)
---@field pipeline? boolean statements of several tasks share a connection. `false` for poolers that cannot bear it (true)
---@field slow? number seconds after which a statement is reported on standard error, with its text and never its values (1)
---@field nulls? boolean NULL is `ml.sql.null` in rows; otherwise the column is absent (false)
---@field numeric? any what PostgreSQL's `numeric` becomes (`"text"`)
---@field time? any what `timestamptz` becomes: Unix seconds, or RFC 3339 (`"number"`)
---@field max_result? integer bytes that the result of a statement may have, as it comes from the database: more is an error of kind `"limit"`, and the connection goes on. Of `rows` and `copy_out`, which have no limit in all, each row. `math.huge`: none (256 MB)
---@field inline? boolean SQLite: short reads run on the loop, within a budget (false)

---Makes a database that connects at its first statement, so it can be created at module level. A bad URL raises, without its
---password. In a job of the executor or an offloaded route it becomes a database of that worker, with one connection.
---@param url string
---@param opts? moonloop.sql.open.opts
---@return moonloop.sql.db db
function sql.open(url, opts) end

---The name of a table or column, quoted for SQL. It is the only thing that is ever put into a statement's text; everything else is
---a parameter.
---@param name string
---@return string
function sql.ident(name) end

---The string as a parameter of type `bytea` or BLOB, where it would be text otherwise.
---@param s string
---@return any value
function sql.bytes(s) end

---The value as a JSON parameter. Raises where JSON has no such value.
---@param v any
---@return any value
function sql.json(v) end

---@class moonloop.sql.db
local db = {}

---All rows: `rows[i].column`, `rows.n` and `rows.columns`, the list of their names. `pairs` does not show the latter two, and
---JSON has a list.
---@param sql string
---@param ... any
---@return table<string, any>[]? rows
---@return moonloop.error? err
function db:query(sql, ...) end

---One row. None is `nil, nil`; several are an error of kind `"too_many"`.
---@param sql string
---@param ... any
---@return table<string, any>? row
---@return moonloop.error? err
function db:one(sql, ...) end

---The first column of the one row. None, and NULL, are `nil, nil`.
---@param sql string
---@param ... any
---@return any? value
---@return moonloop.error? err
function db:value(sql, ...) end

---How many rows it changed; 0 for statements that change none.
---@param sql string
---@param ... any
---@return integer? n
---@return moonloop.error? err
function db:exec(sql, ...) end

---Runs one statement with each of the lists of parameters, in one journey, all or none. `n` is the sum.
---@param sql string
---@param list any[]
---@return integer? n
---@return moonloop.error? err
function db:batch(sql, list) end

---`for row in db:rows(sql, ...) do`: one row after the other; the server is read no faster than the loop goes. Leaving the loop closes it.
---@param sql string
---@param ... any
---@return (fun(...): ...) iterator
function db:rows(sql, ...) end

---Runs several statements, without parameters. A transaction that it leaves open is rolled back.
---@param text string
---@return true?
---@return moonloop.error? err
function db:script(text) end

---@class moonloop.sql.db.insert.opts
---@field returning? any the result is the rows, with these
---@field on_conflict? any a row that collides is left out

---A row is a table from columns to values. Of several rows, a column that one of them lacks is NULL there; a column that all lack
---has its default. `"schema.table"` is a table of that schema.
---@param table string
---@param row table<string, any>
---@param opts? moonloop.sql.db.insert.opts
---@return integer|table<string, any>[]|nil n
---@return moonloop.error? err
function db:insert(table, row, opts) end

---`where` is a table of columns and values, which all have to be equal; a list means any of its values, `ml.sql.null` means is
---null. It must not be empty.
---@param table string
---@param set table<string, any>
---@param where any
---@param opts? table
---@return integer|table<string, any>[]|nil n
---@return moonloop.error? err
function db:update(table, set, where, opts) end

---@param table string
---@param where any
---@param opts? table
---@return integer|table<string, any>[]|nil n
---@return moonloop.error? err
function db:delete(table, where, opts) end

---Inserts many rows, all or none: by COPY, or in batches into SQLite. `rows` is a list of lists of values, or a function that
---returns the next list, and nil at the end. It may wait.
---@param table string
---@param columns string[]
---@param rows table<string, any>[]
---@return integer? n
---@return moonloop.error? err
function db:copy_in(table, columns, rows) end

---PostgreSQL, `for chunk in db:copy_out(sql) do`: the text of `copy ... to stdout`, in pieces.
---@param sql string
---@return (fun(...): ...) iterator
function db:copy_out(sql) end

---PostgreSQL: sends a notification, from a transaction when that is committed.
---@param channel string
---@param text? string
---@return true?
---@return moonloop.error? err
function db:notify(channel, text) end

---@class moonloop.sql.db.tx.opts
---@field isolation? string `"read committed"`, `"repeatable read"`, `"serializable"`; SQLite is always serializable (the server's)
---@field readonly? boolean it only reads; SQLite uses a reader for it (false)
---@field retries? integer how often `f` runs again after SQLSTATE 40001 or 40P01 (`db:tx` alone) (0)
---@field separate? boolean allows a second transaction in a task that has one, on another connection; an error of kind `"pool"` where it would have to wait (false)

---Runs `f(tx)` in a transaction, commits, and returns what `f` returned; true where that is nothing. If `f` raises, or returns nil and
---an error, it is rolled back; a cancel does not interrupt that. A commit that fails is `nil, err`: look at the result, or have
---`assert` raise it.
---@param opts moonloop.sql.db.tx.opts|nil
---@param f fun(tx: moonloop.sql.tx): any
---@return any ...
---@return moonloop.error? err
---@overload fun(self: moonloop.sql.db, f: fun(tx: moonloop.sql.tx): any): ..., moonloop.error?
function db:tx(opts, f) end

---The same in a block: `local tx <close> = assert(db:begin())`. What was not committed is rolled back at its end.
---@param opts? table
---@return moonloop.sql.tx? tx
---@return moonloop.error? err
function db:begin(opts) end

---Runs `f(conn)` with a connection of its own, for SET, temporary tables and advisory locks. The connection is reset afterwards.
---`conn` has the statements above, and `conn:tx([opts,] f)`, with the options `isolation` and `readonly`. On PostgreSQL a loop over
---`conn:rows` has the connection to itself: other statements of `conn` are errors of kind `"busy"` meanwhile, except in a transaction.
---@param f fun(conn: moonloop.sql.db): any
---@return any ...
---@return moonloop.error? err
function db:session(f) end

---PostgreSQL, `for n in db:listen(channel) do`: notifications, on a connection beside the pool. `n.channel`, `n.payload`. It has begun when the server has confirmed.
---After the connection was lost and made again there is one with `n.gap` alone: what was sent meanwhile is lost.
---@param channel string
---@param ... any
---@return (fun(...): ...) iterator
function db:listen(channel, ...) end

---Runs the migrations in the folder `dir` (`"migrations"`, of the working directory) that this database has
---not had yet, and returns their names. It has a connection of its own, without a limit of time, and waits for other processes that do the same. The error is of
---kind `migration`, with `err.file` and `err.line`, and with what the database said as `err.cause`. Suspends.
---@param dir? string
---@return string[]? names
---@return moonloop.error? err
function db:migrate(dir) end

---@return table
function db:stats() end

---Closes the connections. Who waits gets an error of kind `"closed"`.
function db:close() end

---@class moonloop.sql.tx: moonloop.sql.db
local tx = {}

---A part that can fail by itself: a savepoint. Meanwhile only the inner `tx` may be used.
---@param f fun(tx: moonloop.sql.tx): any
---@return any ...
---@return moonloop.error? err
function tx:tx(f) end

---`err.unknown` is true if the answer was lost: it may have happened. If a statement had failed before, PostgreSQL rolls back:
---`nil, err`, with the first error as `err.cause`.
---@return true?
---@return moonloop.error? err
function tx:commit() end

---@return true?
---@return moonloop.error? err
function tx:rollback() end
