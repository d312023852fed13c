# data.mk - the data sets that ship, made again from their generator; the bytes do not change.

# Not file rules: a checkout gives files any times, and `make run` must not draw sets anew.
data: $(BIN)/sample             ## make the shipped data sets again
	LC_ALL=C awk -f data/generate.awk > data/unified.jsonl
	$(BIN)/sample -q -n 50 --by channel,label --seed 42 data/unified.jsonl > data/canned_50_quick.jsonl
	$(BIN)/sample -q -n 100 --by channel,label --seed 42 data/unified.jsonl > data/canned_100_stratified.jsonl

.PHONY: data
