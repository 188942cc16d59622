package argumentpath

import (
	"strings"

	"gatehouse/internal/rule/argument"
)

// maxDecoded is how often a path is decoded: proxies and servers do it one after the
// other.
const maxDecoded = 3

// alike are ways to write a dot or a slash that some program takes for one: overlong
// UTF-8, which percent-encoding hides, the %u of old web servers, and characters that
// normalising turns into them.
var alike = strings.NewReplacer(
	"%c0%ae", ".", "%c0%af", "/", "%c1%9c", "/", "%e0%80%ae", ".", "%e0%80%af", "/", "%c0%2e", ".", "%c0%2f", "/", "%c0%5c", "/",
	"%u002e", ".", "%u002f", "/", "%u2215", "/", "%u2216", "/", "%uff0e", ".", "%uff0f", "/",
	"\uff0e", ".", "\u2024", ".", "\u2025", "..", "\uff0f", "/", "\u2215", "/", "\u2044", "/", "\uff3c", "/", "\u29f5", "/", "\u2216", "/",
	"&#46;", ".", "&#47;", "/", "&#x2e;", ".", "&#x2f;", "/",
)

// decode writes a path as a program sees it that decodes too much, and says whether
// anything was encoded.
func decode(path string) (plain string, encoded bool) {
	plain = path
	for range maxDecoded {
		next := argument.Narrow(argument.Unescape(alike.Replace(lowerEscapes(plain))))
		if next == plain {
			break
		}
		plain, encoded = next, true
	}
	return plain, encoded
}

// lowerEscapes writes percent-encoded bytes in lower case and leaves the rest.
func lowerEscapes(path string) string {
	if !strings.ContainsAny(path, "%&") {
		return path
	}
	out := []byte(path)
	for i := 0; i < len(out); i++ {
		if out[i] == '%' || out[i] == '&' {
			for n := i + 1; n < min(i+6, len(out)); n++ {
				if out[n] >= 'A' && out[n] <= 'Z' {
					out[n] += 'a' - 'A'
				}
			}
		}
	}
	return string(out)
}

// route is where a path leads.
type route struct {
	path      string // with forward slashes, in lower case, without steps up
	climbs    int    // steps to a folder above
	aboveRoot bool   // an absolute path goes up further than its root
	tricks    bool   // ....// and ..;/, which become or mean a step up
}

func follow(path string) route {
	path = strings.ReplaceAll(path, `\`, "/")
	var r route
	var kept []string
	depth, absolute := 0, strings.HasPrefix(path, "/")
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == ".." || part == "..;":
			r.climbs++
			r.tricks = r.tricks || part == "..;"
			if depth--; depth < 0 && absolute {
				r.aboveRoot = true
			}
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		case part == "" || part == ".":
		default:
			// "...", as in ./... of Go, is a name.
			r.tricks = r.tricks || len(part) >= 4 && strings.Trim(part, ".") == "" && strings.Contains(path, part+"//")
			kept = append(kept, part)
			depth++
		}
	}
	r.path = strings.ToLower(strings.Join(kept, "/"))
	if absolute {
		r.path = "/" + r.path
	}
	return r
}

// place is a path that holds something secret, or that harms the machine.
type place struct {
	end        string  // what the path ends with, or has as a part where it ends in a slash
	confidence float64 // that nobody means well who asks for it
	what       string
}

// places are facts about operating systems and programs.
var places = []place{
	{"/proc/self/environ", certain, "the environment of the server"},
	{"/proc/self/mem", certain, "the memory of the server"},
	{"/proc/self/maps", reported, "the memory of the server"},
	{"/proc/self/cmdline", reported, "the command line of the server"},
	{"/proc/self/fd/", reported, "the open files of the server"},
	{"/proc/1/environ", certain, "the environment of the first process"},
	{"/etc/shadow", certain, "the password hashes of the machine"},
	{"/etc/gshadow", certain, "the password hashes of the machine"},
	{"/etc/passwd", doubtful, "the users of the machine"},
	{"/etc/sudoers", reported, "who may become root"},
	{"/etc/crontab", doubtful, "what the machine runs by itself"},
	{"/etc/ssl/private/", reported, "private keys"},
	{"/dev/mem", certain, "the memory of the machine"},
	{"/dev/kmem", certain, "the memory of the machine"},
	{"/dev/sda", certain, "a disk"},
	{"/dev/nvme0n1", certain, "a disk"},
	{"/run/secrets/kubernetes.io/", certain, "the credentials of a service account"},
	{"/run/secrets/", reported, "the secrets of a container"},
	{"docker.sock", reported, "the socket of Docker"},
	{"windows/system32/config/sam", certain, "the password hashes of the machine"},
	{"windows/win.ini", doubtful, "a file that attacks ask for to see whether they can"},
	{"boot.ini", doubtful, "a file that attacks ask for to see whether they can"},
	{".ssh/", reported, "keys of SSH"},
	{".ssh", doubtful, "keys of SSH"},
	{"id_rsa", reported, "a private key"}, {"id_ed25519", reported, "a private key"}, {"id_ecdsa", reported, "a private key"},
	{".aws/credentials", reported, "credentials of AWS"},
	{".aws/config", doubtful, "the configuration of AWS"},
	{".azure/", reported, "credentials of Azure"},
	{"gcloud/application_default_credentials.json", reported, "credentials of Google Cloud"},
	{"gcloud/credentials.db", reported, "credentials of Google Cloud"},
	{".kube/config", reported, "credentials of Kubernetes"},
	{".docker/config.json", reported, "credentials of Docker"},
	{".gnupg/", reported, "keys of GnuPG"},
	{".password-store/", reported, "passwords"},
	{".netrc", reported, "passwords"}, {".pgpass", reported, "passwords"}, {".git-credentials", reported, "passwords"}, {".my.cnf", reported, "passwords"},
	{".npmrc", doubtful, "a token"}, {".pypirc", reported, "a token"}, {".config/gh/hosts.yml", reported, "a token"},
	{".env", doubtful, "a file of secrets"}, {".env.production", doubtful, "a file of secrets"}, {".env.local", doubtful, "a file of secrets"},
	{".bash_history", reported, "what somebody typed"}, {".zsh_history", reported, "what somebody typed"},
	{"login data", reported, "passwords of a browser"}, {"logins.json", doubtful, "passwords of a browser"}, {"key4.db", reported, "passwords of a browser"},
	{"wallet.dat", reported, "a wallet"}, {"login.keychain-db", reported, "passwords"},
	{".claude.json", reported, "the configuration of a client"}, {"claude_desktop_config.json", reported, "the configuration of a client"}, {".cursor/mcp.json", reported, "the configuration of a client"},
}

// aim names the place that a path leads to, if it is one of them.
func aim(path string) (confidence float64, what string) {
	slashed := "/" + strings.TrimLeft(strings.TrimPrefix(path, "~"), "/")
	if len(slashed) > 3 && slashed[2] == ':' {
		slashed = slashed[3:] // a drive
	}
	for _, p := range places {
		end := "/" + strings.TrimLeft(p.end, "/")
		inside := strings.HasSuffix(end, "/") && strings.Contains(slashed, end)
		if inside || strings.HasSuffix(slashed, end) {
			if p.what == "keys of SSH" && (strings.HasSuffix(slashed, ".pub") || strings.HasSuffix(slashed, "config") || strings.HasSuffix(slashed, "known_hosts")) {
				return 0, ""
			}
			return p.confidence, p.what
		}
	}
	return 0, ""
}
