# fuzz.mk - libFuzzer targets, and each of them as a plain program that replays files.
#
#   make fuzz SECONDS=60 [TARGET=jinja]
#
# tests/fuzz/NAME.c is a target, tests/fuzz/seeds/NAME/ holds the inputs that it starts from and
# those that once found something; `make test` replays these with any compiler.

SECONDS ?= 60
# one target; all where it is empty
TARGET  ?=

FUZZ_C  := $(sort $(wildcard tests/fuzz/*.c))
FUZZ_O  := $(FUZZ_C:%.c=$B/%.o)
FUZZ_N  := $(filter-out replay,$(FUZZ_C:tests/fuzz/%.c=%))
FUZZERS := $(FUZZ_N:%=$B/fuzz/%)
REPLAYS := $(FUZZ_N:%=$B/replay/%)

$(FUZZ_O): $B/%.o: %.c $B/flags | $B/tests/fuzz/ $B/found
	$(call say,cc  )$C -Itests/unit -MMD -MP -c $< -o $@
$(FUZZERS): $B/fuzz/%: $B/tests/fuzz/%.o $B/lib.a | $B/fuzz/
	$(call say,link)$C -fsanitize=fuzzer $(LDFLAGS) $^ $(LDLIBS) -o $@
$(REPLAYS): $B/replay/%: $B/tests/fuzz/%.o $B/tests/fuzz/replay.o $B/lib.a | $B/replay/
	$(call say,link)$C $(LDFLAGS) $^ $(LDLIBS) -o $@
$B/tests/fuzz/ $B/fuzz/ $B/replay/:
	@mkdir -p $@
-include $(FUZZ_O:.o=.d)

# Replaying the seeds is a unit test.
UNITS += $(REPLAYS)
test test-code: $(REPLAYS)

# The kernels are no target, and clang 14 takes minutes for each of them with sanitizers.
ifeq ($(VARIANT),fuzz)
ISA.avx2   += -fno-sanitize=all
ISA.avx512 += -fno-sanitize=all
endif

fuzz: $(if $(TARGET),$B/fuzz/$(TARGET),$(FUZZERS)) ## libFuzzer, each target for SECONDS=60; TARGET=NAME for one
	tests/fuzz/run.sh $(SECONDS) '$(MATERIAL)' $^

.PHONY: fuzz
