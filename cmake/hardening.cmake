# What makes a fault harder to use: checked stack frames and copies, stacks that cannot jump over their
# guard, and tables of the loader that nobody can write. Not -fcf-protection: the archives of Debian that
# are linked in are made without it, so the loader would not turn it on, and each call would pay.
# spec/house/hardening_spec.lua looks at the result.
#
# A function with an array, or a local whose address is taken, has its frame checked. On the way of a request
# what is seldom needed and has such locals is a function of its own, which is not inlined.
set(HARDENED $<CONFIG:Release>)
add_compile_options($<$<C_COMPILER_ID:GNU>:-Wformat=2> "$<${HARDENED}:-fstack-protector-strong>" "$<${HARDENED}:-fstack-clash-protection>"
  "$<${HARDENED}:-D_FORTIFY_SOURCE=2>")
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
