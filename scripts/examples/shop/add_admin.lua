-- Adds somebody who may run the shop; the password is read from standard input:
--   moonloop run add_admin.lua NAME
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local accounts = require "accounts"
local stores = require "stores"

assert(stores.db:migrate(here .. "/migrations"))
local user = assert(accounts.NewUser:parse { name = arg[1], password = io.read "l" })
accounts.register(user.name, user.password, "admin")
stores.close()
