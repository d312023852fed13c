# One Makefile, no recursion for building.  `make help` lists the targets.
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

VERSION := 0.1.0
# release | debug | asan | tsan | fuzz
VARIANT ?= $(if $(filter fuzz,$(MAKECMDGOALS)),fuzz,release)
# 1 makes warnings errors
WERROR ?= 0
PREFIX ?= /usr/local
DESTDIR ?=
-include config.mk

# Even where `make compare` was given a B of its own.
override B := build/$(VARIANT)
BIN := $(if $(filter release,$(VARIANT)),bin,$B/bin)

# ---- sources: a new .c file needs no edit here ------------------------------
LIB_C  := $(sort $(wildcard lib/*/*.c lib/dev/ref/*.c lib/dev/cpu/*.c))
# Compiled once per instruction set; the one to run is chosen at run time.
ISA_C  := $(sort $(wildcard lib/dev/cpu/isa/*.c))
ISAS   := avx2 avx512 avx512_bf16 amx_bf16
TOOL_C := $(sort $(wildcard src/*.c))
# A tool of several files: those in src/TOOL/ go with src/TOOL.c.
PART_C := $(sort $(wildcard src/*/*.c))
UNIT_C := $(sort $(wildcard tests/unit/*.c))
GOLD_C := $(sort $(wildcard tests/golden/*.c))
LIB_O  := $(LIB_C:%.c=$B/%.o) $(foreach i,$(ISAS),$(ISA_C:%.c=$B/$i/%.o))
TOOLS  := $(TOOL_C:src/%.c=$(BIN)/%)
UNITS  := $(UNIT_C:tests/unit/%.c=$B/unit/%)
GOLDS  := $(GOLD_C:tests/golden/%.c=$B/golden/%)

# MPI carries train-step's ranks: found, or left out.
MPI ?= $(if $(shell command -v mpicc),1,0)
MPI_CFLAGS := -DHAVE_MPI=$(MPI) $(if $(filter 1,$(MPI)),$(patsubst -I%,-isystem %,$(shell mpicc --showme:compile)))
MPI_LIBS := $(if $(filter 1,$(MPI)),$(shell mpicc --showme:link))

# ---- flags -----------------------------------------------------------------
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wformat=2 \
        -Wimplicit-fallthrough -Wcast-qual $(if $(filter 1,$(WERROR)),-Werror)
OPT.release := -O2 -g
OPT.debug   := -O0 -g3
OPT.asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT.tsan    := -O1 -g -fsanitize=thread
OPT.fuzz    := $(OPT.asan) -fsanitize=fuzzer-no-link -w
# The order and rounding of every operation are part of the result: never let the compiler fuse
# or reorder (docs/operations.md).
FP := -ffp-contract=off
ISA.avx2   := -mavx2 -mfma -mf16c -DISA=avx2
ISA.avx512 := -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -DISA=avx512
ISA.avx512_bf16 := $(ISA.avx512) -UISA -mavx512bf16 -mavx512vnni -DISA=avx512_bf16
ISA.amx_bf16 := $(ISA.avx512_bf16) -UISA -mamx-tile -mamx-bf16 -mamx-int8 -DISA=amx_bf16
CC := $(if $(filter fuzz,$(VARIANT)),clang-14,gcc)
CFLAGS ?=
LDFLAGS ?=
LDLIBS := -ljansson -lpcre2-8 -lutf8proc -lm -pthread
C := $(CC) -std=c11 -D_GNU_SOURCE -Ilib -Isrc $(WARN) $(OPT.$(VARIANT)) $(FP) -fno-common -pthread \
     -DVERSION='"$(VERSION)"' $(CFLAGS)

# Written only when the command line changes, so that CFLAGS=... is never half applied; here and not
# in a rule, so that `make -n` does not take it for new.
$(shell mkdir -p $B; echo '$(subst ','\'',$C)' | cmp -s - $B/flags || echo '$(subst ','\'',$C)' > $B/flags)

$(shell echo '$(MPI_CFLAGS)' | cmp -s - $B/mpi || echo '$(MPI_CFLAGS)' > $B/mpi)

# Short lines; V=1 shows whole commands.
V ?= 0
say = $(if $(filter 0,$V),@echo '  $1  $@';)

# ---- build -----------------------------------------------------------------
all: $(TOOLS)                   ## build every tool into bin/

$(TOOLS): $(BIN)/%: $B/src/%.o $B/lib.a | $(BIN)/
	$(call say,link)$C $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) -o $@
	$(if $(filter %/gpu-infer,$@),@echo '  gpu-infer: built for CPUs; left out: cuda (this version has no backend for it)')
	$(if $(filter %/train-step,$@),@echo '  train-step: ranks $(if $(filter 1,$(MPI)),over MPI,left out: no MPI here (make deps brings it)); nccl left out')
$(BIN)/train-step $B/unit/comm: LDLIBS += $(MPI_LIBS)
$B/lib/train/comm_mpi.o: $B/mpi
$B/lib/train/comm_mpi.o: C += $(MPI_CFLAGS)
$(foreach c,$(PART_C),$(eval $(patsubst src/%/,$(BIN)/%,$(dir $c)): $(c:%.c=$B/%.o)))
$(UNITS): $B/unit/%: $B/tests/unit/%.o $B/lib.a | $B/unit/
	$(call say,link)$C $(LDFLAGS) $^ $(LDLIBS) -o $@
$(GOLDS): $B/golden/%: $B/tests/golden/%.o $B/lib.a | $B/golden/
	$(call say,link)$C $(LDFLAGS) $^ $(LDLIBS) -o $@
$B/lib.a: $(LIB_O)
	$(call say,ar  )rm -f $@; ar rcsD $@ $^

OBJ := $(LIB_C:%.c=$B/%.o) $(TOOL_C:%.c=$B/%.o) $(PART_C:%.c=$B/%.o) $(UNIT_C:%.c=$B/%.o) $(GOLD_C:%.c=$B/%.o)
ISA_O := $(filter-out $(OBJ),$(LIB_O))
DIRS := $(sort $(dir $(OBJ) $(ISA_O)) $(BIN)/ $B/unit/ $B/golden/)
$(DIRS):
	@mkdir -p $@
$(OBJ): $B/%.o: %.c $B/flags | $(DIRS) $B/found
	$(call say,cc  )$C -MMD -MP -c $< -o $@
define isa_rule
$(ISA_C:%.c=$B/$1/%.o): $B/$1/%.o: %.c $B/flags | $(DIRS) $B/found
	$$(call say,cc  )$$C -O3 $$(ISA.$1) -MMD -MP -c $$< -o $$@
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$i)))
-include $(OBJ:.o=.d) $(ISA_O:.o=.d)

# A missing library is named with the package that brings it, before the compiler stumbles.
$B/found: | $(DIRS) $(filter deps,$(MAKECMDGOALS))
	@for h in jansson pcre2 utf8proc; do \
	  echo "#include <$$h.h>" | $(CC) $(CFLAGS) -DPCRE2_CODE_UNIT_WIDTH=8 -E - >/dev/null 2>&1 || \
	    { echo "make: $$h.h is missing; run 'make deps', or install lib$$h-dev" >&2; exit 69; }; done; touch $@

# ---- checks ----------------------------------------------------------------
GOLDEN   ?= ../shared/golden
MATERIAL ?= ../shared/material
RUN_TESTS = GOLDEN='$(GOLDEN)' MATERIAL='$(MATERIAL)' tests/run.sh

test: all $(UNITS) $(GOLDS)     ## unit tests, goldens, then the tools
	$(RUN_TESTS) '$(abspath $(BIN))' $(UNITS) -- $(GOLDS)
test-code: $(UNITS) $(GOLDS)    ## unit tests and goldens alone; for VARIANT=asan
	$(RUN_TESTS) '' $(UNITS) -- $(GOLDS)
test-golden: $(GOLDS)           ## golden runners on GOLDEN=DIR MATERIAL=DIR
	$(RUN_TESTS) '' -- $(GOLDS)
lint:                           ## layers, formatting, shell scripts, man pages, sizes
	tests/lint.sh
install: all                    ## install tools, man pages and completions under PREFIX, below DESTDIR
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man{1,7} \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install $(TOOLS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 man/*.7 $(DESTDIR)$(PREFIX)/share/man/man7
	for t in $(notdir $(TOOLS)); do \
	  PATH=$(abspath $(BIN)):$$PATH pipelines/completion.sh bash $$t > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$t; \
	  PATH=$(abspath $(BIN)):$$PATH pipelines/completion.sh zsh $$t > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_$$t; done
dist:                           ## millrace-VERSION.tar.gz of what is committed
	git archive --prefix=millrace-$(VERSION)/ -o millrace-$(VERSION).tar.gz HEAD
deps:                           ## install the Debian packages that this needs
	pipelines/deps.sh
doctor:                         ## say what this machine has, and what mends what it has not
	@$(MAKE) -s all $B/bench/bandwidth > /dev/null 2>&1 || true
	@RUN='$(or $(RUN),run)' BANDWIDTH=$B/bench/bandwidth pipelines/doctor.sh '$(or $(MODEL),data/models/router)'
config:                         ## write config.mk: GPUS= DTYPE= MODEL= RUN= LAUNCH= NODES=, ACCELERATE=FILE, or asks
	@pipelines/config.sh
clean:                          ## remove build/ and bin/
	rm -rf build bin
help:                           ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
.PHONY: all deps dist config doctor test test-code test-golden lint install clean help FORCE

-include $(wildcard pipelines/*.mk)
