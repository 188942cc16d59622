package inventory

import (
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/client"
	"gatehouse/internal/command"
	"gatehouse/internal/config"
)

// Word is one word of a command with the option that it belongs to: --root=/srv and
// --root /srv are {"--root", "/srv"}, a word by itself has no option. Values are as
// written, secrets included.
type Word struct{ Option, Value string }

// Words takes the words behind the program apart, those of wrappers and launchers
// included.
func Words(e client.Entry) []Word {
	if len(e.Words) < 2 {
		return nil
	}
	return pairs(e.Words[1:])
}

// Given are the words that the server itself is given.
func Given(e client.Entry) []Word { return pairs(argsOf(e)) }

// Launching are the words that the launcher is given, such as those of docker run.
func Launching(e client.Entry) []Word { return pairs(command.Parse(e.Words).Options) }

func pairs(words []string) (out []Word) {
	for i := 0; i < len(words); i++ {
		option, value, joined := strings.Cut(words[i], "=")
		switch {
		case !strings.HasPrefix(option, "-"):
			out = append(out, Word{"", words[i]})
		case joined:
			out = append(out, Word{option, value})
		case i+1 < len(words) && !strings.HasPrefix(words[i+1], "-"):
			// It cannot be told whether the option has a value: then it is a switch and the
			// next word stands alone, which makes no difference to who looks for values.
			out = append(out, Word{option, words[i+1]})
			i++
		default:
			out = append(out, Word{option, ""})
		}
	}
	return out
}

// Environment is everything that sets a variable of a server: its entry, env NAME=value
// in front of it, and -e NAME=value of a container.
func Environment(e client.Entry) []client.Value {
	out := slices.Clone(e.Env)
	add := func(word string) {
		if command.Assigns(word) {
			name, value, _ := strings.Cut(word, "=")
			out = append(out, client.Value{Name: name, Kind: client.Literal, Raw: client.Raw(value)})
		}
	}
	if len(e.Words) == 0 {
		return out
	}
	if slices.Contains(command.Parse(e.Words).Wrappers, "env") {
		for _, word := range e.Words {
			add(word)
		}
	}
	for _, w := range Launching(e) {
		if w.Option == "-e" || w.Option == "--env" {
			add(w.Value)
		}
	}
	return out
}

// bridges are programs that connect to the server whose address they are given.
var bridges = []string{"mcp-remote", "supergateway", "mcp-proxy", "@wonderwhy-er/mcp-remote", "mcp-server-and-gw", "mcp-remote-client"}

// Address is where a client, or a bridge that it starts, connects to.
type Address struct {
	*url.URL
	Shown string // without secrets
}

// Addresses are where an entry connects to, as far as it is written.
func Addresses(e client.Entry) (out []Address) {
	add := func(word, shown string) {
		u, err := url.Parse(word)
		if err == nil && u.Host != "" && slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) {
			out = append(out, Address{u, shown})
		}
	}
	if e.URL != "" {
		add(e.URL, e.ShownURL)
		return out
	}
	if len(e.Words) == 0 {
		return nil
	}
	source := command.Parse(e.Words)
	if !slices.Contains(bridges, source.Package) {
		return nil
	}
	args, shown := source.Args, config.RedactWords(source.Args)
	for i, word := range args {
		if _, value, found := strings.Cut(word, "="); found && strings.HasPrefix(word, "-") {
			word = value
		}
		add(word, shown[i])
	}
	return out
}
