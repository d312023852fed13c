# Speed of the parts beside the programs that others use: every bench/*.sh, or ONLY="text train".
# PEERS=1 runs the peers too; PEERS_PYTHON=PYTHON names an environment that has them, and a peer
# that is missing is skipped with a word.
BENCH_C := $(wildcard bench/*.c)
BENCHES := $(BENCH_C:bench/%.c=$B/bench/%)
PEERS ?= 0
PEERS_PYTHON ?=
ONLY ?= $(filter-out peers,$(patsubst bench/%.sh,%,$(wildcard bench/*.sh)))

$(BENCHES): $B/bench/%: bench/%.c $B/lib.a $B/flags
	@mkdir -p $(@D)
	$(call say,link)$C -MMD -MP $(LDFLAGS) $< $B/lib.a $(LDLIBS) -o $@
-include $(BENCHES:%=%.d)
bench: all $(BENCHES)           ## speed, part by part: ONLY=, PEERS=1, PEERS_PYTHON=, RUNS=
	@for part in $(ONLY); do MATERIAL='$(MATERIAL)' PEERS='$(PEERS)' PEERS_PYTHON='$(PEERS_PYTHON)' \
	  bench/$$part.sh '$(abspath $B/bench)' '$(abspath $(BIN))'; done
.PHONY: bench
profile: all $(BENCHES)         ## where the time of the job goes, by perf: RECORDS=
	@MATERIAL='$(MATERIAL)' pipelines/profile.sh '$(abspath $B/bench)' '$(abspath $(BIN))'
.PHONY: profile
