---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.jwt
local jwt = {}

---@class moonloop.jwt.sign.opts
---@field algorithm? string how it is signed (the key's: HS256, EdDSA, ES256 or RS256, or its `alg`)
---@field expires_in? number seconds from now: sets `exp`, and `iat` if it is not there (none)
---@field kid? string the id of the key, in the header (the JWK's)
---@field typ? string the type, in the header (`"JWT"`)

---A token with these claims, a table that becomes JSON. `exp`, `nbf` and `iat` are seconds since 1970. Suspends for RSA,
---which takes milliseconds on another thread, and for new keys; where 256 tokens wait for that, it raises an error of kind
---`"busy"` with the status 503. **Raises** for a public key, and for more than 16384 characters.
---@param claims table<string, any>
---@param key any
---@param opts? moonloop.jwt.sign.opts
---@return string token
function jwt.sign(claims, key, opts) end

---@class moonloop.jwt.verify.opts
---@field algorithms table the list of those that are accepted
---@field key? string|table the key: a secret, PEM or a JWK. Either this or `jwks`
---@field jwks? string|table the keys, of which the token's `kid` names one: an https URL (http on this machine) that has a JWK set, or a table as below
---@field audience? string|table who we are: a name or a list (none)
---@field issuer? string|table who may have made the token: a name or a list (none)
---@field leeway? number seconds by which the clocks may differ (0)

---The token's claims, if it is valid. `err` is of kind `"jwt"`, and its code is the first of these that is wrong:
---@param token string
---@param opts moonloop.jwt.verify.opts
---@return table<string, any>? claims
---@return moonloop.error? err
function jwt.verify(token, opts) end
