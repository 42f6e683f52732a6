--- Keys as DER (X.690), in the forms that libcrypto reads.
local M = {}

local function item(tag, body)
  local n = #body
  if n < 128 then return string.char(tag, n) .. body end
  local length = (n < 256 and ">I1" or ">I2"):pack(n)
  return string.char(tag, 128 + #length) .. length .. body
end

local function integer(bytes)
  bytes = bytes:gsub("^\0+", "")
  if bytes == "" or bytes:byte() >= 128 then bytes = "\0" .. bytes end
  return item(2, bytes)
end

local function sequence(...) return item(0x30, table.concat { ... }) end
local function bits(bytes) return item(3, "\0" .. bytes) end

local RSA = sequence("\6\9\42\134\72\134\247\13\1\1\1", "\5\0") -- rsaEncryption, RFC 8017
local P256 = "\6\8\42\134\72\206\61\3\1\7" -- prime256v1
local EC = sequence("\6\7\42\134\72\206\61\2\1", P256) -- id-ecPublicKey, RFC 5480
local ED25519 = "\48\5\6\3\43\101\112" -- id-Ed25519, RFC 8410

--- SubjectPublicKeyInfo of a key of RSA, from PKCS #1.
function M.rsa_info(pkcs1) return sequence(RSA, bits(pkcs1)) end

--- The same from modulus and exponent.
function M.rsa_public(n, e) return M.rsa_info(sequence(integer(n), integer(e))) end

--- PKCS #1 of a private key of RSA: n, e, d, p, q, dp, dq, qi.
function M.rsa_private(...)
  local numbers = { "\0", ... }
  for i, bytes in ipairs(numbers) do numbers[i] = integer(bytes) end
  return sequence(table.unpack(numbers))
end

--- SubjectPublicKeyInfo of a point on P-256.
function M.ec_public(x, y) return sequence(EC, bits("\4" .. x .. y)) end

--- SEC 1 of a private key on P-256.
function M.ec_private(d, x, y)
  return sequence(integer "\1", item(4, d), item(0xa0, P256), item(0xa1, bits("\4" .. x .. y)))
end

--- The 32 bytes of a public key of Ed25519 in SubjectPublicKeyInfo, or nil.
function M.ed25519_public(der)
  local before = "\48\42" .. ED25519 .. "\3\33\0"
  if #der == #before + 32 and der:sub(1, #before) == before then return der:sub(-32) end
end

--- The seed of a private key of Ed25519 in PKCS #8, with or without its public key (RFC 8410), or nil.
function M.ed25519_private(der)
  local before = ED25519 .. "\4\34\4\32" -- after SEQUENCE and the version
  if der:sub(6, 5 + #before) ~= before or der:sub(1, 1) ~= "\48" or #der < 5 + #before + 32 then return nil end
  return der:sub(6 + #before, 5 + #before + 32)
end

return M
