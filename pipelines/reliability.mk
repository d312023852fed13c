# reliability.mk - runs that are killed, calls that fail, and every number of records and shards.
#
#   make test-long [KILLS=1000] [SEED=1] [FAULTS=200]
#
# `make test` has the same programs at a small size, in tests/reliability.bats.

# kills that land, over all scenes
KILLS  ?= 1000
SEED   ?= 1
# kills of one training
TRAIN_KILLS ?= 200
# seeded faults for each kind of call in gpu-infer; the other tools take every one
FAULTS ?= 200

RELIABILITY := $(abspath $B/reliability)
export RELIABILITY

$(RELIABILITY)/kill: tests/kill.c $B/flags | $(RELIABILITY)/
	$(call say,link)$C $< -o $@
$(RELIABILITY)/train-kill: tests/train-kill.c $B/flags | $(RELIABILITY)/
	$(call say,link)$C $< -o $@
$(RELIABILITY)/fault.so: tests/fault.c $B/flags | $(RELIABILITY)/
	$(call say,link)$C -fPIC -shared $< -o $@
$(RELIABILITY)/:
	mkdir -p $@

RELIABLE := $(addprefix $(RELIABILITY)/,kill train-kill fault.so)
test: $(RELIABLE)
test-long: all $(RELIABLE) $B/unit/comm $B/bench/make_model ## kills, faults, every number of records and shards
	PATH='$(abspath $(BIN))':$$PATH tests/long.sh '$(RELIABILITY)' $(KILLS) $(SEED) $(FAULTS) '$(abspath $B/bench)'
	PATH='$(abspath $(BIN))':$$PATH TRAIN_KILLS=$(TRAIN_KILLS) bats -f 'kills at random' tests/train-step.bats
	PATH='$(abspath $(BIN))':$$PATH tests/train-ranks.sh 50 $(SEED)
	PATH='$(abspath $(BIN))':$$PATH TRAIN_KILLS=$(TRAIN_KILLS) bats -f 'kills at random' tests/train-step.bats
	PATH='$(abspath $(BIN))':$$PATH tests/train-ranks.sh 50 $(SEED)

.PHONY: test-long
