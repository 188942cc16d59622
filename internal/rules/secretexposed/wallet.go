package secretexposed

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"math/big"
	"strings"
	"sync"

	"gatehouse/internal/rule"
)

// wordlist holds the English words of BIP-39, one a line, in order.
// https://github.com/bitcoin/bips/blob/master/bip-0039/english.txt
//
//go:embed wordlist.txt
var wordlist string

// wordNumbers are read when the first text speaks of a seed phrase.
var wordNumbers = sync.OnceValue(func() map[string]int {
	numbers := map[string]int{}
	for i, word := range strings.Fields(wordlist) {
		numbers[word] = i
	}
	return numbers
})

const (
	// seedReach is how far behind its name a seed phrase may stand, in bytes.
	seedReach = 600
	// seedStarts is how many words may stand between the name and the phrase, and a few
	// more.
	seedStarts = 16
	wordBits   = 11
	// seedStep is the difference between the lengths of seed phrases: 12, 15, 18, 21
	// and 24 words.
	seedStep, shortestSeed, longestSeed = 3, 12, 24
)

// findSeed recognises the words from which a wallet makes its keys. Plain words are
// no secret, so they must stand behind a name for one, be of the list, and have a
// right checksum.
func findSeed(text string, start, end int) (secret, bool) {
	stop := min(len(text), end+seedReach)
	for i, tried := end, 0; i < stop && tried < seedStarts; tried++ {
		phrase := seedWords(text[:stop], i)
		for n := longestSeed; n >= shortestSeed; n -= seedStep {
			if phrase.count >= n && seedChecks(phrase.numbers[:n]) && different(phrase.numbers[:n]) {
				return secret{start: phrase.start, end: phrase.ends[n-1], kind: "seed phrase of a wallet"}, true
			}
		}
		i = phrase.next // the phrase may begin at the next word
	}
	return secret{}, false
}

// seed are words of the list that follow each other.
type seed struct {
	start, count  int
	next          int // where the first word ends, whether it is of the list or not
	numbers, ends [longestSeed]int
}

// seedWords reads the words from a place on.
func seedWords(text string, at int) (s seed) {
	for s.count < longestSeed {
		for at < len(text) && !within(letters, text[at]) {
			at++
		}
		stop := run(text, at, letters, 32)
		if s.count == 0 {
			s.start, s.next = at, max(stop, at+1)
		}
		number, known := wordNumbers()[strings.ToLower(text[at:stop])]
		if !known {
			break
		}
		s.numbers[s.count], s.ends[s.count] = number, stop
		s.count++
		at = stop
	}
	return s
}

// seedChecks verifies a phrase: "the first ENT / 32 bits of its SHA256 hash" are
// appended to the entropy before it is written in words (BIP-39).
func seedChecks(numbers []int) bool {
	bits := new(big.Int)
	for _, n := range numbers {
		bits.Or(bits.Lsh(bits, wordBits), big.NewInt(int64(n)))
	}
	check := uint(len(numbers) * wordBits / 33)
	var mask big.Int
	mask.Sub(mask.Lsh(big.NewInt(1), check), big.NewInt(1))
	want := mask.And(&mask, bits).Uint64()
	entropy := bits.Rsh(bits, check).FillBytes(make([]byte, len(numbers)*4/3))
	sum := sha256.Sum256(entropy)
	return uint64(sum[0]>>(8-check)) == want
}

// different says whether most words differ. Examples repeat one.
func different(numbers []int) bool {
	seen := map[int]bool{}
	for _, n := range numbers {
		seen[n] = true
	}
	return len(seen) > len(numbers)/2
}

// findExtendedKey recognises the private key of a wallet as BIP-32 writes it, by its
// checksum.
func findExtendedKey(text string, start, end int) (secret, bool) {
	stop := run(text, start, base58, 112)
	if stop-start != 111 || start > 0 && within(base62, text[start-1]) || !base58Checks(text[start:stop]) {
		return secret{}, false
	}
	return secret{start: start, end: stop, kind: "private key of a wallet"}, true
}

// base58Checks verifies the last four bytes of a Base58Check value.
func base58Checks(value string) bool {
	number := new(big.Int)
	for i := range len(value) {
		number.Mul(number, big.NewInt(58))
		number.Add(number, big.NewInt(int64(strings.IndexByte(base58, value[i]))))
	}
	raw := number.Bytes()
	if len(raw) < 5 {
		return false
	}
	body, check := raw[:len(raw)-4], raw[len(raw)-4:]
	once := sha256.Sum256(body)
	twice := sha256.Sum256(once[:])
	return bytes.Equal(twice[:4], check)
}

// findWalletKey recognises a private key of a wallet behind a name for one: 32 bytes
// in hexadecimal digits, or in Wallet Import Format with a right checksum.
func findWalletKey(text string, start, end int) (secret, bool) {
	from, assigned := value(text, end)
	if !assigned {
		return secret{}, false
	}
	from += len(text[from:]) - len(strings.TrimPrefix(text[from:], "0x"))
	stop := run(text, from, base62, 65)
	body := text[from:stop]
	switch {
	case len(body) == 64 && strings.Trim(body, anyHex) == "" && entropy(body) > 3.2 && !placeholder(body):
	case (len(body) == 51 || len(body) == 52) && within("5KL", body[0]) && strings.Trim(body, base58) == "" && base58Checks(body):
	default:
		return secret{}, false
	}
	return secret{start: from, end: stop, kind: "private key of a wallet", severity: rule.Unrated}, true
}
