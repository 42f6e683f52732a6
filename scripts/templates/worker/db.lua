--- The database of the app and of its jobs. The specs put one in memory in its place.
local ml = require "moonloop"

return ml.sql.open(os.getenv "DATABASE_URL" or "sqlite:app.db")
