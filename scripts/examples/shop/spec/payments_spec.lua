local helper = require "helper"
local ml = require "moonloop"
local payments = require "payments"

helper.set_up()

describe("the gateway of a payment service", function()
  it("has a key for each charge, and knows which answers are final", function()
    local service, asked = ml.web.app(), nil
    local statuses = { visa = 201, refused = 402, broken = 500 }
    service:post("/charges", function(req)
      asked = { key = req.headers["Idempotency-Key"], auth = req.headers.authorization, json = req:json() }
      return nil, statuses[asked.json.card]
    end)
    local server = assert(ml.web.listen(service, { port = 0 }))
    local gateway = payments.at(("http://127.0.0.1:%d"):format(server.port), "secret-key")
    local function charge(card) return gateway.charge { key = "order-7", amount = 2500, card = card } end

    assert.equal("paid", charge "visa")
    assert.same({ key = "order-7", auth = "Bearer secret-key", json = { amount = 2500, card = "visa" } }, asked)
    assert.equal("refused", charge "refused")
    assert.same({ nil, "the payment service says 500" }, { charge "broken" })
    server:stop(0)
    local state, err = charge "visa"
    assert.is_nil(state)
    assert.equal("network", err.kind)
  end)
end)
