# What makes a fault harder to use: checked stack frames and copies, stacks that cannot jump over their
# guard, and tables of the loader that nobody can write. Not -fcf-protection: the archives of Debian that
# are linked in are made without it, so the loader would not turn it on, and each call would pay.
# spec/house/hardening_spec.lua looks at the result.
set(HARDENED $<CONFIG:Release>)
add_compile_options(-Wformat=2 "$<${HARDENED}:-fstack-protector-strong>" "$<${HARDENED}:-fstack-clash-protection>"
  "$<${HARDENED}:-D_FORTIFY_SOURCE=2>")
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
