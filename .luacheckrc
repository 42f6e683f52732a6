std = "lua54"
max_line_length = 120
files["spec"] = { std = "+busted" }
files["scripts/moonloop/test/init.lua"] = { std = "+busted" }
