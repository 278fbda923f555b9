"""Writes a llama of a few thousand random weights that knows letters: what it says is nonsense, its figures are real."""
import sys
import numpy as np
from gguf import GGUFWriter, TokenType

path, width, heads, layers, feed, context = sys.argv[1], 64, 4, 2, 128, 4096
tokens = [b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % b for b in range(256)]
types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL] + [TokenType.BYTE] * 256
for char in [" ", *map(chr, range(97, 123)), ".", ",", "\n"]:
    tokens.append(("\u2581" if char == " " else char).encode())
    types.append(TokenType.NORMAL)
scores = [0.0] * len(tokens)
rng = np.random.default_rng(7)
w = GGUFWriter(path, "llama")
w.add_name("random")
w.add_context_length(context)
w.add_embedding_length(width)
w.add_block_count(layers)
w.add_feed_forward_length(feed)
w.add_head_count(heads)
w.add_head_count_kv(heads)
w.add_layer_norm_rms_eps(1e-5)
w.add_rope_dimension_count(width // heads)
w.add_vocab_size(len(tokens))
w.add_file_type(0)
w.add_tokenizer_model("llama")
w.add_token_list(tokens)
w.add_token_scores(scores)
w.add_token_types(types)
w.add_bos_token_id(1)
w.add_eos_token_id(2)
w.add_unk_token_id(0)
w.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: ")
def t(name, *shape):
    w.add_tensor(name, (rng.standard_normal(shape) * 0.2).astype(np.float32))
t("token_embd.weight", len(tokens), width)
w.add_tensor("output_norm.weight", np.ones(width, np.float32))
t("output.weight", len(tokens), width)
for i in range(layers):
    w.add_tensor(f"blk.{i}.attn_norm.weight", np.ones(width, np.float32))
    w.add_tensor(f"blk.{i}.ffn_norm.weight", np.ones(width, np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        t(f"blk.{i}.{name}.weight", width, width)
    t(f"blk.{i}.ffn_gate.weight", feed, width)
    t(f"blk.{i}.ffn_up.weight", feed, width)
    t(f"blk.{i}.ffn_down.weight", width, feed)
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
