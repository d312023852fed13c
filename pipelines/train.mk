# train.mk - fine-tuning on a labelled data set, and the models that are trained from scratch.
#
#   make train DATA=unified EPOCHS=3 GPUS=4
#   make models/router          the embedded model again
#   make models/sms_spam        a spam filter from MATERIAL's messages, scored on those held back

# how long, and with how many ranks (GPUS, as for run)
EPOCHS   ?= 3
# the member that holds the answer
TARGET   ?= label
# an adapter's shape; empty: the whole model is trained
LORA     ?= r=16,alpha=32
# labelled records to evaluate on
EVAL     ?=
# local (mpirun) or slurm (srun)
LAUNCH   ?= local
# more options for train-step, such as --lr 1e-4
TRAIN    ?=

train: all                      ## fine-tune: DATA= MODEL= TEMPLATE= STRATEGY= EPOCHS= GPUS= LORA= EVAL=
	@PATH='$(abspath $(BIN))':$$PATH DATA='$(DATA)' MODEL='$(MODEL)' TEMPLATE='$(TEMPLATE)' \
	  STRATEGY='$(STRATEGY)' EPOCHS='$(EPOCHS)' GPUS='$(GPUS)' TARGET='$(TARGET)' LORA='$(LORA)' \
	  EVAL='$(EVAL)' LAUNCH='$(LAUNCH)' FRESH='$(FRESH)' RUN='$(RUN)' pipelines/train.sh $(TRAIN)

models/router: all              ## train the embedded router again, from scratch
	PATH='$(abspath $(BIN))':$$PATH pipelines/router.sh build/models/router
	cp build/models/router/model.safetensors data/models/router/

models/sms_spam: all            ## train and score a spam filter on MATERIAL's messages
	PATH='$(abspath $(BIN))':$$PATH pipelines/sms_spam.sh '$(MATERIAL)/datasets' build/models/sms_spam

.PHONY: train models/router models/sms_spam
