std = "lua54"
max_line_length = 120
exclude_files = { "scripts/types" } -- they do nothing
files["spec"] = { std = "+busted" }
files["scripts/moonloop/test/init.lua"] = { std = "+busted" }
