"""Control tokens of common families of chat models, as the strings that their tokenizers take so.

A server puts a judge's question through a tokenizer that is not seen here. Many read these strings
as control tokens wherever they stand, also in an answer that is shown as data, which could so end
the user's turn and begin one of the system's. Breaking one that the judge does not have costs a
character in answers that speak of it, no more.
"""

# Sources: the tokenizer_config.json, or the reference implementation, that each family publishes:
#   ChatML, Qwen     Qwen/Qwen2.5-7B-Instruct, Qwen/Qwen3-8B, Qwen/Qwen2.5-VL-7B-Instruct
#   Llama 2          meta-llama/llama (generation.py: B_INST, B_SYS)
#   Llama 3, 4       meta-llama/llama-models (llama3/tokenizer.py, llama4/tokenizer.py)
#   Mistral          mistralai/mistral-common (tokens/tokenizers/base.py: SpecialTokens)
#   Gemma            google/gemma-2-9b-it, google/gemma-3-4b-it
#   Phi              microsoft/Phi-3-mini-4k-instruct, microsoft/phi-4
#   DeepSeek         deepseek-ai/DeepSeek-V3, whose bars are full-width and whose blanks are U+2581
#   gpt-oss          openai/harmony (src/encoding.rs), openai/tiktoken (o200k_harmony)

_COMMON = ("<s>", "</s>", "<bos>", "<eos>", "<pad>", "<unk>", "<|endoftext|>", "<|endofprompt|>")
_CHATML = (
    *("<|im_start|>", "<|im_end|>", "<|im_sep|>"),
    *("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>"),
    *("<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
    *("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>"),
)
_LLAMA = (
    *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"),
    *("<|eot_id|>", "<|eom_id|>", "<|python_tag|>", "<|step_id|>", "<|image|>"),
    *("<|finetune_right_pad_id|>", "<|finetune_right_pad|>"),
    *("<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>", "<|step|>"),
    *("<|python_start|>", "<|python_end|>", "<|image_start|>", "<|image_end|>", "<|patch|>"),
)
_MISTRAL = (
    *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"),
    *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CONTENT]", "[SYSTEM_PROMPT]"),
    *("[/SYSTEM_PROMPT]", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[THINK]", "[/THINK]", "[AUDIO]", "[BEGIN_AUDIO]", "[TRANSCRIBE]"),
)
_GEMMA = (
    *("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"),
    *("<image_soft_token>", "<mask>"),
)
_PHI = (
    *("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "<|/tool|>"),
    *("<|tool_call|>", "<|/tool_call|>", "<|tool_response|>"),
)
_DEEPSEEK = (
    *("<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
    *("<\uff5c\u2581pad\u2581\uff5c>", "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>", "<|EOT|>"),
    *("<\uff5ctool\u2581calls\u2581begin\uff5c>", "<\uff5ctool\u2581calls\u2581end\uff5c>"),
    *("<\uff5ctool\u2581call\u2581begin\uff5c>", "<\uff5ctool\u2581call\u2581end\uff5c>"),
    *("<\uff5ctool\u2581outputs\u2581begin\uff5c>", "<\uff5ctool\u2581outputs\u2581end\uff5c>"),
    *("<\uff5ctool\u2581output\u2581begin\uff5c>", "<\uff5ctool\u2581output\u2581end\uff5c>"),
    *("<\uff5ctool\u2581sep\uff5c>", "<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>"),
    "<\uff5cfim\u2581end\uff5c>",
)
_HARMONY = (
    *("<|startoftext|>", "<|start|>", "<|message|>", "<|channel|>", "<|constrain|>"),
    *("<|return|>", "<|call|>"),
)

COMMON = (*_COMMON, *_CHATML, *_LLAMA, *_MISTRAL, *_GEMMA, *_PHI, *_DEEPSEEK, *_HARMONY)
"""Every one of them, each once."""
