# reliability.mk - runs that are killed, calls that fail, and every number of records and shards.
#
#   make test-long [KILLS=1000] [SEED=1] [FAULTS=200]
#
# `make test` has the same programs at a small size, in tests/reliability.bats.

# kills that land, over all scenes
KILLS  ?= 1000
SEED   ?= 1
# seeded faults for each kind of call in gpu-infer; the other tools take every one
FAULTS ?= 200

RELIABILITY := $(abspath $B/reliability)
export RELIABILITY

$(RELIABILITY)/kill: tests/kill.c $B/flags | $(RELIABILITY)/
	$(call say,link)$C $< -o $@
$(RELIABILITY)/fault.so: tests/fault.c $B/flags | $(RELIABILITY)/
	$(call say,link)$C -fPIC -shared $< -o $@
$(RELIABILITY)/:
	mkdir -p $@

test: $(RELIABILITY)/kill $(RELIABILITY)/fault.so
test-long: all $(RELIABILITY)/kill $(RELIABILITY)/fault.so ## kills, faults, every number of records and shards
	PATH='$(abspath $(BIN))':$$PATH tests/long.sh '$(RELIABILITY)' $(KILLS) $(SEED) $(FAULTS)

.PHONY: test-long
