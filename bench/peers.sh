#!/usr/bin/env bash
# peers.sh COMMAND ARG... - the job through the programs that it is measured against, in the
# environment of PEERS_PYTHON; only bench/job.sh runs it.
#
#     peers.sh convert MODEL_DIR OUT                 OUT.bf16.gguf, OUT.q8_0.gguf
#     peers.sh llama FILE.gguf IDS THREADS           records/s, start included
#     peers.sh torch MODEL_DIR IDS THREADS cache|plain
#     peers.sh decode FILE.gguf THREADS ROWS         tokens/s behind 512 tokens in common
#
# IDS: one JSON array of token ids a line.  Every record is answered with 8 tokens, greedily.
# llama.cpp: the prefix once, copied to 32 slots, which are decoded together.  transformers: a
# batch of 16, padded on the left; with `cache` the prefix's keys and values once.
set -euo pipefail
exec "${PEERS_PYTHON:?}" - "$@" << 'END'
import json
import struct
import sys
import time

BEGIN = time.time()
TOKENS = 8


def convert(model, out):
    import ctypes
    import numpy as np
    import llama_cpp as L

    cfg = json.load(open(model + "/config.json"))
    raw = open(model + "/model.safetensors", "rb")
    n = struct.unpack("<Q", raw.read(8))[0]
    head = json.loads(raw.read(n))
    H, G = cfg["num_attention_heads"], cfg["num_key_value_heads"]
    llama = cfg["model_type"] == "llama"
    arch = cfg["model_type"]
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
             "post_attention_layernorm": "ffn_norm"}

    def string(s):
        return struct.pack("<Q", len(s)) + s.encode()

    tensors = []
    for name, t in head.items():
        raw.seek(8 + n + t["data_offsets"][0])
        bits = np.frombuffer(raw.read(t["data_offsets"][1] - t["data_offsets"][0]), np.uint16)
        shape = t["shape"]
        p = name.split(".")
        if name == "model.embed_tokens.weight":
            to = "token_embd.weight"
        elif name == "model.norm.weight":
            to = "output_norm.weight"
        else:
            part = ".".join(p[3:-1])
            to = "blk.%s.%s.%s" % (p[2], names[part], p[-1])
            if llama and part in ("self_attn.q_proj", "self_attn.k_proj"):
                heads = H if "q_proj" in part else G
                x = bits.reshape(heads, 2, shape[0] // heads // 2, shape[1])
                bits = np.ascontiguousarray(x.swapaxes(1, 2)).reshape(-1)
        kind = 30
        data = bits.tobytes()
        if len(shape) == 1:  # norms and biases are f32
            kind = 0
            data = (bits.astype(np.uint32) << 16).view(np.float32).tobytes()
        tensors.append((to, shape, kind, data))
    kv = [("general.architecture", arch), ("general.name", "bench"), ("tokenizer.ggml.model", "no_vocab"),
          (arch + ".context_length", cfg["max_position_embeddings"]),
          (arch + ".embedding_length", cfg["hidden_size"]),
          (arch + ".block_count", cfg["num_hidden_layers"]),
          (arch + ".feed_forward_length", cfg["intermediate_size"]),
          (arch + ".attention.head_count", H), (arch + ".attention.head_count_kv", G),
          (arch + ".vocab_size", cfg["vocab_size"]), ("general.file_type", 32),
          (arch + ".rope.freq_base", float(cfg["rope_theta"])),
          (arch + ".attention.layer_norm_rms_epsilon", float(cfg["rms_norm_eps"]))]
    f = open(out + ".bf16.gguf", "wb")
    f.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(kv)))
    for k, v in kv:
        f.write(string(k))
        f.write(struct.pack("<I", 8) + string(v) if isinstance(v, str)
                else struct.pack("<If", 6, v) if isinstance(v, float) else struct.pack("<II", 4, v))
    at = 0
    for name, shape, kind, data in tensors:
        f.write(string(name) + struct.pack("<I", len(shape)))
        f.write(b"".join(struct.pack("<Q", d) for d in reversed(shape)) + struct.pack("<IQ", kind, at))
        at += (len(data) + 31) // 32 * 32
    f.write(b"\0" * (-f.tell() % 32))
    for _, _, _, data in tensors:
        f.write(data + b"\0" * (-len(data) % 32))
    f.close()
    quiet(L)
    params = L.llama_model_quantize_default_params()
    params.ftype = 7  # mostly Q8_0
    params.allow_requantize = True
    if L.llama_model_quantize((out + ".bf16.gguf").encode(), (out + ".q8_0.gguf").encode(), ctypes.byref(params)):
        sys.exit("llama.cpp cannot quantise the model")


def quiet(L):
    import ctypes
    global LOG
    LOG = L.llama_log_callback(lambda level, text, data: None)
    L.llama_log_set(LOG, ctypes.c_void_p(0))


class Llama:
    """The few calls of llama.cpp's own interface that a batch program needs."""

    def __init__(self, path, threads, context, slots):
        import llama_cpp as L
        self.L = L
        quiet(L)
        L.llama_backend_init()
        mp = L.llama_model_default_params()
        self.model = L.llama_model_load_from_file(path.encode(), mp)
        cp = L.llama_context_default_params()
        cp.n_ctx, cp.n_batch, cp.n_ubatch = context, 2048, 512
        cp.n_seq_max = slots + 1
        cp.n_threads = cp.n_threads_batch = threads
        cp.kv_unified = True
        self.ctx = L.llama_init_from_model(self.model, cp)
        self.batch = L.llama_batch_init(2048, 0, 1)
        self.vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(self.model))
        self.memory = L.llama_get_memory(self.ctx)

    def run(self, items):
        """items: (id, position, sequence, wanted); the likeliest id of each wanted one."""
        import numpy as np
        L, b = self.L, self.batch
        b.n_tokens = len(items)
        for i, (token, pos, seq, wanted) in enumerate(items):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, pos, 1, wanted
            b.seq_id[i][0] = seq
        if L.llama_decode(self.ctx, b):
            sys.exit("llama_decode failed")
        return [int(np.ctypeslib.as_array(L.llama_get_logits_ith(self.ctx, i), (self.vocab,)).argmax())
                for i, x in enumerate(items) if x[3]]


def common(all_ids):
    n = 0
    while all(len(x) > n + 1 and x[n] == all_ids[0][n] for x in all_ids):
        n += 1
    return n


def run_llama(path, ids, threads):
    all_ids = [json.loads(x) for x in open(ids)]
    n = common(all_ids)
    slots = 32
    longest = max(len(x) for x in all_ids) - n + TOKENS
    m = Llama(path, int(threads), n + slots * longest + 64, slots)
    L = m.L
    m.run([(t, i, 0, False) for i, t in enumerate(all_ids[0][:n])])
    for first in range(0, len(all_ids), slots):
        group = all_ids[first:first + slots]
        items = []
        last = []
        for s, x in enumerate(group):
            L.llama_memory_seq_cp(m.memory, 0, s + 1, 0, n)
            mine = [(t, n + i, s + 1, n + i == len(x) - 1) for i, t in enumerate(x[n:])]
            if len(items) + len(mine) > 2048:
                last += m.run(items)
                items = []
            items += mine
        last += m.run(items)
        for k in range(1, TOKENS):
            last = m.run([(t, len(x) + k - 1, s + 1, True) for s, (t, x) in enumerate(zip(last, group))])
        for s in range(len(group)):
            L.llama_memory_seq_rm(m.memory, s + 1, -1, -1)
    print("%.4g" % (len(all_ids) / (time.time() - BEGIN)))


def decode(path, threads, rows):
    rows = int(rows)
    m = Llama(path, int(threads), 512 + rows * 64 + 64, rows)
    m.run([(i % 1000 + 5, i, 0, False) for i in range(512)])
    for s in range(rows):
        m.L.llama_memory_seq_cp(m.memory, 0, s + 1, 0, 512)
    best = 0
    last = m.run([(s + 7, 512, s + 1, True) for s in range(rows)])
    for part in range(3):
        begin = time.time()
        for k in range(12):
            last = m.run([(t, 513 + part * 12 + k, s + 1, True) for s, t in enumerate(last)])
        best = max(best, rows * 12 / (time.time() - begin))
    print("%.4g" % best)


def run_torch(model, ids, threads, how):
    import copy
    import torch
    from transformers import AutoModelForCausalLM, DynamicCache
    torch.set_num_threads(int(threads))
    m = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
    all_ids = [json.loads(x) for x in open(ids)]
    n = common(all_ids) if how == "cache" else 0
    size = 16
    with torch.inference_mode():
        prefix = DynamicCache(config=m.config)
        if n:
            m(torch.tensor([all_ids[0][:n]]), past_key_values=prefix, use_cache=True)
        for first in range(0, len(all_ids), size):
            group = [x[n:] for x in all_ids[first:first + size]]
            longest = max(len(x) for x in group)
            x = torch.tensor([[0] * (longest - len(g)) + g for g in group])
            mask = torch.tensor([[1] * n + [0] * (longest - len(g)) + [1] * len(g) for g in group])
            if not n:
                m.generate(x, attention_mask=mask, max_new_tokens=TOKENS, min_new_tokens=TOKENS,
                           do_sample=False, pad_token_id=0)
                continue
            cache = copy.deepcopy(prefix)
            cache.batch_repeat_interleave(len(group))
            for k in range(TOKENS):
                pos = (mask.cumsum(1) - 1)[:, -x.shape[1]:].clamp(min=0)
                out = m(x, attention_mask=mask, position_ids=pos, past_key_values=cache, use_cache=True,
                        logits_to_keep=1)
                x = out.logits[:, -1:].argmax(-1)
                mask = torch.cat([mask, torch.ones_like(x)], 1)
    print("%.4g" % (len(all_ids) / (time.time() - BEGIN)))


{"convert": convert, "llama": run_llama, "decode": decode, "torch": run_torch}[sys.argv[1]](*sys.argv[2:])
END
