-- Who charges cards: the service at PAYMENTS_URL, or one that plays. The job gets it as a dependency, which specs
-- replace.
--
-- A gateway has one function, gateway.charge{key =, amount =, card =}: the amount in cents, and a key for which there
-- is one charge however often it is asked for. It returns "paid" or "refused", which are final, or nil and an error
-- where nobody knows: then ask again.
local ml = require "moonloop"
local settings = require "settings"

local M = {}

-- For trying the shop: the card "refused" is, and all others pay.
local played = { charge = function(charge) return charge.card == "refused" and "refused" or "paid" end }

--- The gateway of the service at this URL.
function M.at(url, key)
  local client = ml.http.client { base_url = url, timeout = 10, auth = key }
  return { charge = function(charge)
    local res, err = client:post("/charges", { json = { amount = charge.amount, card = charge.card },
      headers = { ["Idempotency-Key"] = charge.key } })
    if not res then return nil, err end
    if res.status == 402 then return "refused" end
    if res.status ~= 200 and res.status ~= 201 then return nil, "the payment service says " .. res.status end
    return "paid"
  end }
end

local gateway = settings.payments_url and M.at(settings.payments_url, settings.payments_key) or played

M.gateway = ml.web.dependency { name = "gateway", function() return gateway end }

return M
