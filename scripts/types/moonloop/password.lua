---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.password
local password = {}

---The hash of a string, with a new salt, in the PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$...`, 97 characters.
---Suspends. **Raises** for more than 4096 bytes, and an error of kind `"busy"` with the status 503 and `Retry-After` where
---the line is full.
---@param password string
---@return string text
function password.hash(password) end

---Is `hash` one of this password? If `hash` is nil, it takes as long and is false: give it what the database has of the user,
---so that nobody learns from the time which users there are. Suspends. Hashes of argon2id and argon2i with other
---parameters are verified, up to 256 MiB, 16 passes and 16 lanes. **Raises** for a text that is no such hash, with the name of
---the algorithm if it is known, and where the line is full, as `hash` does.
---@param password string
---@param hash string
---@return boolean
function password.verify(password, hash) end

---Was it made with other parameters than those of `ml.password.hash`? Then make a new one, at the next login.
---@param hash string
---@return boolean
function password.needs_rehash(hash) end
