#!/usr/bin/env python3
"""Write a reference file for `attnscope verify` with Hugging Face's own forward pass.

    python3 make_reference.py MODEL OUT.npz --text TEXT | --ids 1,2,3           decoders, encoders
    python3 make_reference.py MODEL OUT.npz --text SOURCE [--target TEXT]       encoder-decoders
    python3 make_reference.py MODEL OUT.npz --image cat.jpg                     image towers
    python3 make_reference.py MODEL OUT.npz --image cat.jpg --text TEXT         LLaVA
    python3 make_reference.py MODEL OUT.npz --audio speech.wav                  Whisper
    python3 make_reference.py MODEL OUT.npz --inputs OTHER.npz                  the inputs of such a file

MODEL is a local directory in the Hugging Face layout.  Eager attention, float32, CPU.  The file holds

    ids             int64 [n]        tokens of the decoder, or of the encoder that stands alone
    enc_ids         int64 [m]        source of an encoder-decoder
    pixel_values    f32   [channels, height, width]
    input_features  f32   [mel bins, frames]
    logits          f32   [n, V]     where the checkpoint has a language model head
    hidden_<l>      f32   [n, C]     l = 0..L: the residual stream after l blocks, before the final norm
    attn_<l>        f32   [H, n, n]  attention weights, rows = queries
    enc_hidden_<l>, enc_attn_<l>     the same of an encoder, or of an image tower before a decoder
    cross_attn_<l>  f32   [H, n, m]

Then:  attnscope verify MODEL --reference OUT.npz

Needs torch, transformers and numpy; Pillow for --image.
"""
import argparse
import inspect
import sys
import wave

import numpy as np
import torch
import transformers


def fail(message):
    sys.exit("make_reference: " + message)


def open_model(path, dtype):
    """The class that the checkpoint names; of models with a text and an image tower the image tower."""
    config = transformers.AutoConfig.from_pretrained(path)
    name = (config.architectures or [None])[0]
    towers = {"CLIPModel": "CLIPVisionModel", "SiglipModel": "SiglipVisionModel"}
    kind = getattr(transformers, towers.get(name, name or ""), None)
    if kind is None:
        kind = (transformers.AutoModelForSeq2SeqLM if getattr(config, "is_encoder_decoder", False)
                else transformers.AutoModelForCausalLM)
    return kind.from_pretrained(path, attn_implementation="eager", dtype=dtype).eval()


def blocks_of(root):
    """The layers of a stack: of all module lists the one with most parameters."""
    lists = [m for m in root.modules() if isinstance(m, torch.nn.ModuleList) and len(m)]
    if not lists:
        fail("no list of layers in " + type(root).__name__)
    return max(lists, key=lambda m: (sum(p.numel() for p in m.parameters()), len(m)))


class Capture:
    """What goes into the first block of a stack and comes out of each, and the weights of its attention."""

    def __init__(self, root):
        self.hidden, self.attention = {}, {}
        self.blocks = blocks_of(root)
        self.blocks[0].register_forward_pre_hook(self.before, with_kwargs=True)
        for i, block in enumerate(self.blocks):
            block.register_forward_hook(lambda _, args, out, i=i: self.after(i, out))
            for module in block.modules():
                if type(module).__name__.endswith("Attention"):
                    module.register_forward_hook(lambda _, args, out, i=i: self.weights(i, out))

    def before(self, module, args, kwargs):
        self.hidden[0] = (args[0] if args else kwargs["hidden_states"]).detach().clone()

    def after(self, i, out):
        self.hidden[i + 1] = (out[0] if isinstance(out, (tuple, list)) else out).detach().clone()

    def weights(self, i, out):
        if isinstance(out, (tuple, list)):
            for x in out[1:]:
                if torch.is_tensor(x) and x.dim() == 4 and i not in self.attention:
                    self.attention[i] = x.detach().clone()


def parse_ids(text):
    return [int(word) for word in text.replace("[", " ").replace("]", " ").replace(",", " ").split()]


def read_wav(path):
    """16-bit samples as floats, channels mixed."""
    with wave.open(path) as f:
        if f.getsampwidth() != 2:
            fail(path + ": only 16-bit PCM is read here; give --features instead")
        samples = np.frombuffer(f.readframes(f.getnframes()), "<i2").reshape(-1, f.getnchannels())
        return samples.astype(np.float32).mean(1) / 32768, f.getframerate()


def read_image(path):
    from PIL import Image
    return Image.open(path).convert("RGB")


def image_processor(args):
    """The form that computes with Pillow: what attnscope reproduces.  The other one needs torchvision and rounds
    resized pixels otherwise."""
    old = int(transformers.__version__.split(".")[0]) < 5
    plain = {"use_fast": False} if old else {"backend": "pil"}
    return transformers.AutoImageProcessor.from_pretrained(args.model, **plain)


def tokenise(args, text):
    return transformers.AutoTokenizer.from_pretrained(args.model)(text)["input_ids"]


def shifted(start, labels):
    """Decoder input of a target: the start token, then all but the last, unless the text brings its own."""
    if not labels:
        return [start]
    return labels[:-1] if labels[0] == start and len(labels) > 1 else [start] + labels[:-1]


def read_media(args, inputs):
    if args.image:
        inputs["pixel_values"] = np.asarray(image_processor(args)(read_image(args.image))["pixel_values"][0])
    if args.pixels:
        inputs["pixel_values"] = np.load(args.pixels)
    if args.audio:
        samples, rate = read_wav(args.audio)
        extractor = transformers.AutoFeatureExtractor.from_pretrained(args.model)
        inputs["input_features"] = extractor(samples, sampling_rate=rate, return_tensors="np")["input_features"][0]
    if args.features:
        inputs["input_features"] = np.load(args.features)


def place_image(model, args, inputs, text):
    """Ids with one image token for each place that the image takes."""
    if text is not None:
        if not args.image:
            fail("--text goes with --image; for --pixels give --ids")
        processor = transformers.AutoProcessor.from_pretrained(args.model)
        if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
            fail(args.model + " describes no processor of images and text: give --ids with --image")
        if getattr(processor, "patch_size", 0) is None:
            fail("processor_config.json of %s names no patch_size: add it, or give --ids with --image" % args.model)
        processor.image_processor = image_processor(args)
        made = processor(text=text if "<image>" in text else "<image>" + text, images=read_image(args.image),
                         return_tensors="np")
        inputs["pixel_values"] = made["pixel_values"][0]
        return made["input_ids"][0].tolist()
    token, vision = model.config.image_token_id, model.config.vision_config
    if token not in (args.ids or ()):
        fail("--ids must hold the image token %d where the image belongs" % token)
    if args.ids.count(token) > 1:
        return args.ids
    places = (vision.image_size // vision.patch_size) ** 2 + (model.config.vision_feature_select_strategy == "full")
    at = args.ids.index(token)
    return args.ids[:at] + [token] * places + args.ids[at + 1:]


def read_inputs(model, args):
    """Arrays by their names in the file."""
    if args.inputs:
        with np.load(args.inputs) as ref:
            names = [name for name in ("ids", "enc_ids", "pixel_values", "input_features") if name in ref]
            return {name: ref[name] for name in names}
    inputs = {}
    read_media(args, inputs)
    config = model.config
    if getattr(config, "is_encoder_decoder", False):
        if "input_features" not in inputs and model.main_input_name != "input_features":
            ids = args.ids if args.ids else tokenise(args, args.text) if args.text else fail("no --text or --ids")
            inputs["enc_ids"] = ids
        start = getattr(config, "decoder_start_token_id", None)
        if start is None:
            start = model.generation_config.decoder_start_token_id
        inputs["ids"] = args.target_ids or shifted(start, tokenise(args, args.target) if args.target else [])
    elif hasattr(config, "vision_config") and "pixel_values" in inputs and hasattr(config, "text_config"):
        inputs["ids"] = place_image(model, args, inputs, args.text)
    elif args.text is not None or args.ids:
        inputs["ids"] = args.ids if args.ids else tokenise(args, args.text)
    if not inputs:
        fail("nothing to run on: give --text, --ids, --image or --audio")
    return {name: np.asarray(x, np.int64 if name.endswith("ids") else np.float32) for name, x in inputs.items()}


def check_inputs(model, inputs):
    """What would end in an exception of torch's, said in the terms of the options."""
    needs = {"pixel_values": "--image or --pixels", "input_features": "--audio or --features"}
    takes = inspect.signature(model.forward).parameters
    for name, options in needs.items():
        if name in inputs and name not in takes:
            fail("%s takes no %s: leave out %s" % (type(model).__name__, name, options))
        if name not in inputs and model.main_input_name == name:
            fail("%s reads %s: give %s" % (type(model).__name__, name, options))
    image = getattr(model.config, "image_token_id", None)
    for name in ("ids", "enc_ids"):
        if name not in inputs:
            continue
        if "input_ids" not in takes and "decoder_input_ids" not in takes:
            fail("%s takes no tokens: leave out --text and --ids" % type(model).__name__)
        if inputs[name].size == 0:
            fail("no token to run on: the text or list of ids is empty")
        n = getattr(model.get_input_embeddings(), "num_embeddings", None)
        for at, i in enumerate(inputs[name].reshape(-1).tolist()):
            if n is not None and i != image and not 0 <= i < n:
                fail("token id %d at index %d is outside the vocabulary (0 to %d)" % (i, at, n - 1))


def run(model, inputs):
    batch = {name: torch.from_numpy(np.ascontiguousarray(x))[None] for name, x in inputs.items()}
    for name in ("pixel_values", "input_features"):
        if name in batch:
            batch[name] = batch[name].to(next(model.parameters()).dtype)
    call = {name: batch[name] for name in ("pixel_values", "input_features") if name in batch}
    if getattr(model.config, "is_encoder_decoder", False):
        if "enc_ids" in batch:
            call["input_ids"] = batch["enc_ids"]
        call["decoder_input_ids"] = batch["ids"]
    elif "ids" in batch:
        call["input_ids"] = batch["ids"]
    return model(**call, output_attentions=True)


def put_stack(arrays, prefix, capture, attention, n_layer):
    """attention: of the layers that have weights, in order; None: what the hooks saw."""
    for layer in range(n_layer + 1):
        x = capture.hidden[layer]
        arrays[f"{prefix}hidden_{layer}"] = x.reshape(-1, x.shape[-1])
    if attention is not None and len(attention) == n_layer:
        weights = dict(enumerate(attention))
    else:
        weights = capture.attention
    for layer in sorted(weights):
        if layer < n_layer and weights[layer] is not None:
            arrays[f"{prefix}attn_{layer}"] = weights[layer][0]


def stacks_of(model):
    """The stack that gives the logits; an encoder or image tower before it and how many of its layers count."""
    config, core = model.config, getattr(model, "model", model)
    if getattr(config, "is_encoder_decoder", False):
        other = Capture(model.get_encoder())
        return Capture(model.get_decoder()), other, len(other.blocks)
    if hasattr(core, "vision_tower"):
        other = Capture(core.vision_tower)
        layer = config.vision_feature_layer
        return Capture(core.language_model), other, layer if layer >= 0 else len(other.blocks) + 1 + layer
    return Capture(model), None, 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("out")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--text", help="tokenised by the model's own tokenizer; the source of an encoder-decoder")
    source.add_argument("--ids", type=parse_ids, help="comma-separated token ids; nothing is added")
    source.add_argument("--inputs", help="take the inputs of a file like the one that is written")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--target", help="the decoder's text in an encoder-decoder; it is put behind the start token")
    target.add_argument("--target-ids", type=parse_ids, help="the decoder's ids, start token included")
    parser.add_argument("--image", help="picture, through the model's own processor")
    parser.add_argument("--pixels", help="pixel_values as a .npy file")
    parser.add_argument("--audio", help="16-bit WAV, through the model's own feature extractor")
    parser.add_argument("--features", help="input_features as a .npy file")
    parser.add_argument("--double", action="store_true", help="compute in float64")
    args = parser.parse_args()

    torch.set_grad_enabled(False)
    model = open_model(args.model, torch.float64 if args.double else torch.float32)
    inputs = read_inputs(model, args)
    main_stack, other, n_other = stacks_of(model)
    check_inputs(model, inputs)
    try:
        out = run(model, inputs)
    except IndexError as error:
        longest = getattr(model.config.get_text_config(), "max_position_embeddings", "unknown")
        fail("an index is out of range (%s); is the prompt longer than the model's positions (%s)?" % (error, longest))

    arrays = {}
    logits = out.get("logits")
    if logits is not None and logits.dim() == 3 and "ids" in inputs:
        arrays["logits"] = logits[0]
    attention = out.get("decoder_attentions") or out.get("attentions")
    put_stack(arrays, "", main_stack, attention, len(main_stack.blocks))
    if other is not None and other.hidden:
        put_stack(arrays, "enc_", other, out.get("encoder_attentions"), n_other)
    for layer, x in enumerate(out.get("cross_attentions") or ()):
        arrays[f"cross_attn_{layer}"] = x[0]
    numbers = torch.float64 if args.double else torch.float32
    np.savez(args.out, **inputs, **{name: np.ascontiguousarray(x.detach().to(numbers).numpy()) for name, x in arrays.items()})
    shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in inputs.items())
    print(f"{args.out}: {shapes}; {len(main_stack.blocks)} layers")


if __name__ == "__main__":
    main()
