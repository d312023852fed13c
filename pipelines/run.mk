# run.mk - the main job: every record of a data set answered, scored and put in order.
#
#   make run DATA=unified GPUS=4 MAX=100
#
# One rule per shard; each is a pipe that a user could type (make -n run prints it).

# A name under data/, or a path of a .jsonl or .json file
DATA     ?= canned_50_quick
MODEL    ?= data/models/router
TEMPLATE ?=
STRATEGY ?=
# gpu-infer processes side by side, one per device; slices of the CPU's cores where there is no GPU.
# Where nothing is given: the GPUs, or for a model that is small enough the cores, a thread each.
GPUS     ?= $(shell pipelines/shards.sh '$(MODEL)')
# the first MAX records; all where it is empty
MAX      ?=
# members to score against
GOLD     ?= label
GROUP    ?= $(if $(findstring /,$(DATA)),,channel)
# auto (the checkpoint's), f32 or bf16
DTYPE    ?= auto
# more options for gpu-infer, such as --choices a,b,c
INFER    ?=
# 1 starts over
FRESH    ?=
RUN      ?= run

export PATH := $(abspath $(BIN)):$(PATH)
A ?=

# Everything below is read only for these goals, so that other targets never see its errors.
ifneq ($(filter run gathered dealt shards prompts shard-%,$(MAKECMDGOALS)),)

# Targets and shell words are made of these, so odd characters are refused rather than quoted.
run.odd := ' " ` $$ \ * ? [ ] { } ( ) < > | & ; ! ~ % : = #
run.check = $(if $(word 2,$($1)),$(error $1: '$($1)' has a blank; use a path without blanks))$(strip \
  $(foreach c,$(run.odd),$(if $(findstring $c,$($1)),$(error $1: '$($1)' has a '$c'; use a plainer path))))
override GPUS := $(GPUS)
$(foreach v,DATA MODEL TEMPLATE STRATEGY GPUS MAX GOLD GROUP DTYPE RUN,$(call run.check,$v))
$(if $(shell [[ '$(GPUS)' =~ ^[1-9][0-9]{0,3}$$ ]] || echo bad),$(error GPUS: must be 1 to 9999, not '$(GPUS)'))
$(if $(shell [[ '$(MAX)' =~ ^[0-9]*$$ ]] || echo bad),$(error MAX: must be a number of records, not '$(MAX)'))

run.data := $(if $(findstring /,$(DATA))$(filter %.jsonl %.json,$(DATA)),$(DATA),data/$(DATA).jsonl)
$(if $(wildcard $(run.data)),,$(error DATA: $(run.data) does not exist; there are: $(patsubst \
  data/%.jsonl,%,$(wildcard data/*.jsonl))))
$(if $(wildcard $(MODEL)/config.json),,$(error MODEL: $(MODEL) is not a model directory (no config.json in it)))
run.template := $(or $(TEMPLATE),data/templates/combined_v1.json)
$(if $(wildcard $(run.template)),,$(error TEMPLATE: $(run.template) does not exist))
run.strategy := $(or $(STRATEGY),$(if $(TEMPLATE),,combined_optimized))

# NAME is DATA, plus STRATEGY and MODEL where they were given.
run.given = $(if $(filter-out undefined default file,$(origin $1)),$(if $($1),-$(notdir $(patsubst %/,%,$($1)))))
NAME := $(basename $(notdir $(run.data)))$(call run.given,STRATEGY)$(call run.given,MODEL)
O := $(RUN)/$(NAME)

run.ids   := $(shell seq 0 $$(($(GPUS) - 1)))
run.infer := $(if $(filter auto,$(DTYPE)),,--dtype $(DTYPE)) $(INFER)
run.limit := $(if $(MAX),--limit $(MAX))
run.render = render-prompt -q -t $(run.template) $(run.strategy:%=-s %)

run: all $O/report.html        ## the main job: DATA= MODEL= TEMPLATE= STRATEGY= GPUS= MAX= GOLD= GROUP=
	@pipelines/summary.sh $O

$O/:
	mkdir -p $@

# What the answers depend on.  A difference under one NAME is refused before anything runs.
$O/manifest.json: FORCE | all $O/
	@pipelines/plain.sh $O
	@$(if $(FRESH),pipelines/alone.sh $O rm -f $O/out-* $O/manifest.json $O/results.jsonl;) pipelines/manifest.sh $@ $(run.data) $(run.template) '$(run.strategy)' $(MODEL) $(run.infer)

# How many records, and what to score: may change from call to call.
$O/limit: FORCE | $O/
	@pipelines/plain.sh $O
	@echo 'max=$(MAX)' | cmp -s - $@ || echo 'max=$(MAX)' | pipelines/alone.sh $O tee $@ > /dev/null
$O/score: FORCE | $O/
	@pipelines/plain.sh $O
	@echo 'gold=$(GOLD) group=$(GROUP)' | cmp -s - $@ || echo 'gold=$(GOLD) group=$(GROUP)' | pipelines/alone.sh $O tee $@ > /dev/null

# Two calls at once would answer records twice; with -n nothing is there to be locked.
run.alone = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),,pipelines/alone.sh $O)
$O/results.jsonl: $(run.data) $O/manifest.json $O/limit
	+@$(run.alone) $(MAKE) --no-print-directory -j$(GPUS) GPUS=$(GPUS) FRESH= gathered

gathered: dealt
	gather --expect $$(shard -q $(run.limit) $(run.data) | wc -l) --errors $O/errors.jsonl -o $O/results.jsonl $$(ls $O/out-* | grep -v '\.key$$')

shards: $O/manifest.json          ## the answers of each shard, not put together yet
	+@$(run.alone) $(MAKE) --no-print-directory -j$(GPUS) GPUS=$(GPUS) FRESH= dealt
dealt: $(run.ids:%=shard-%)
$(run.ids:%=shard-%): shard-%: $O/manifest.json | forget-times
	shard -q -n $(GPUS) -k $* $(run.limit) --done '$O/out-*' $(run.data) | $(run.render) | SHARD=$* SHARDS=$(GPUS) gpu-infer -q -m $(MODEL) $$(pipelines/manifest.sh --date $O/manifest.json) $(run.infer) --metrics $O/times-$*.json -o $O/out-$*.jsonl

# Those of an earlier call, which may have had more shards.
forget-times: | $O/
	@rm -f $O/times-*.json

$O/metrics.json: $O/results.jsonl $O/score
	pipelines/metrics.sh $O $(GOLD) $(GROUP)

$O/report.html: $O/metrics.json
	report -o $@ $O

# For looking at: what the model is asked.
prompts: all | $O/              ## the rendered prompts of the job, in run/NAME/prompts.jsonl
	@pipelines/plain.sh $O
	shard -q $(run.limit) $(run.data) | $(run.render) --chat $(MODEL) > $O/prompts.jsonl
	@echo $O/prompts.jsonl

.PHONY: run gathered dealt shards forget-times prompts $(run.ids:%=shard-%)
endif

# B is the build folder elsewhere, so the one that was given is looked up among what was given.
compare.b = $(patsubst B=%,%,$(filter B=%,$(MAKEOVERRIDES)))
compare: all                    ## two runs on one page: A=run/NAME B=run/NAME; writes compare.html beside B's results
	@[ -n '$(A)' ] && [ -n '$(compare.b)' ] || { echo 'make compare: give A=run/NAME B=run/NAME' >&2; exit 64; }
	score -q --gold $(GOLD) --versus $(A)/results.jsonl $(compare.b)/results.jsonl
	report -o $(compare.b)/compare.html $(A) $(compare.b)
	@echo $(compare.b)/compare.html
.PHONY: compare
