package scan

// key names what a check finds of one server in one setup.
type key struct{ setup, server, check string }

// together stands in the place of a server where a finding is about all of them.
const together = "all together"

// judgement is what a person says of a finding.
type judgement struct {
	right bool
	why   string
}

func right(why string) judgement { return judgement{true, why} }
func wrong(why string) judgement { return judgement{false, why} }

const (
	newest  = "whoever takes over the package runs on this machine at the next start"
	tagged  = "the owner of the image can move the tag"
	notHere = "the faults are in servers that listen and in templates of resources; this one does neither"
)

// judgements are of every finding that there is.
var judgements = map[key]judgement{
	{careful, together, "too-many"}:           right("that many definitions stand in each request"),
	{careful, together, "toxic-combination"}:  right("pages of strangers, private files and ways out in one conversation"),
	{careful, "commands", "known-vulnerable"}: wrong(notHere),
	{careful, "github", "known-vulnerable"}:   wrong(notHere),
	{careful, "postgres", "known-vulnerable"}: wrong(notHere),
	{careful, "slack", "known-vulnerable"}:    wrong(notHere),
	{careful, "desktop", "install-scripts"}:   right("it notes where it was installed from, and checks a program that it fetched"),
	{careful, "firecrawl", "install-scripts"}: right("a dependency runs a script"),
	{careful, "mongodb", "install-scripts"}:   right("dependencies build or fetch programs"),
	{careful, "files", "shadowed-tools"}:      right("two servers have tools of the same names, and clients choose differently"),

	{asShown, together, "toxic-combination"}:  right("pages of strangers, private files and ways out in one conversation"),
	{asShown, "charts", "unpinned"}:           right(newest),
	{asShown, "chrome", "unpinned"}:           right(newest),
	{asShown, "context7", "unpinned"}:         right(newest),
	{asShown, "fetch", "unpinned"}:            right(newest),
	{asShown, "files", "unpinned"}:            right(newest),
	{asShown, "files", "broad-root"}:          right("both folders hold more than one task needs"),
	{asShown, "firecrawl", "unpinned"}:        right(newest),
	{asShown, "firecrawl", "install-scripts"}: right("what runs at the next installation is not known today"),
	{asShown, "git", "unpinned"}:              right(newest),
	{asShown, "github", "unpinned"}:           right(newest),
	{asShown, "github", "known-vulnerable"}:   wrong(notHere),
	{asShown, "memory", "unpinned"}:           right(newest),
	{asShown, "notion", "unpinned"}:           right(newest),
	{asShown, "playwright", "unpinned"}:       right(newest),
	{asShown, "slack", "unpinned"}:            right(newest),
	{asShown, "slack", "known-vulnerable"}:    wrong(notHere),

	{badly, together, "too-many"}:              right("sixteen servers are more than anybody uses at once"),
	{badly, together, "toxic-combination"}:     right("issues of strangers, private files and a way out in one conversation"),
	{badly, "all-files", "broad-root"}:         right("it is given every file"),
	{badly, "cluster", "known-vulnerable"}:     right("its own faults: a model can be made to run commands"),
	{badly, "docker", "container-rights"}:      right("the socket is the machine"),
	{badly, "docker", "container-network"}:     right("git needs no network here"),
	{badly, "docker", "unpinned"}:              right(tagged),
	{badly, "escape", "known-vulnerable"}:      right("a link leads out of the folder in this version"),
	{badly, "escape", "several-versions"}:      right("the fault is mended in the other version"),
	{badly, "git", "broad-root"}:               right("the home holds keys and passwords"),
	{badly, "github", "plain-secret"}:          right("the token stands in the file"),
	{badly, "github", "excess-rights"}:         right("a classic token reaches every repository"),
	{badly, "github", "known-vulnerable"}:      wrong(notHere),
	{badly, "home-files", "broad-root"}:        right("the home holds keys and passwords"),
	{badly, "installer", "download-and-run"}:   right("the server of the script decides what runs"),
	{badly, "installer", "shell-line"}:         right("a line for a shell hides what runs"),
	{badly, "keys", "broad-root"}:              right("it is given the keys"),
	{badly, "postgres", "plain-secret"}:        right("the password stands in the file, and in the list of processes"),
	{badly, "postgres", "excess-rights"}:       right("that user may change everything"),
	{badly, "postgres", "known-vulnerable"}:    wrong(notHere),
	{badly, "privileged", "container-rights"}:  right("it is root on this machine"),
	{badly, "privileged", "unpinned"}:          right(tagged),
	{badly, "remote", "known-vulnerable"}:      right("who answers at the address runs commands here"),
	{badly, "remote-http", "plain-http"}:       right("everybody on the way reads and writes along"),
	{badly, "remote-http", "several-versions"}: right("the fault is mended in the other version"),
	{badly, "root", "elevated"}:                right("what it is made to do, it does as administrator"),
	{badly, "typo", "imitated-package"}:        right("the name of the owner is one letter short"),
	{badly, "url", "plain-http"}:               right("the key goes over the network as it is"),
	{badly, "url", "secret-in-address"}:        right("addresses are written to logs"),
}

// missed is what a person would say and no check does, or none without a flag.
var missed = map[key]string{
	{careful, "commands", "excess-rights"}:      "it runs every command that a model asks for; no check knows servers that are made for that",
	{careful, "desktop", "excess-rights"}:       "the same",
	{careful, "github", "deprecated-package"}:   "its makers gave it up in 2025; the registry does not say so, and its version is younger than two years",
	{careful, "postgres", "deprecated-package"}: "the same",
	{careful, "slack", "deprecated-package"}:    "the same",
	{badly, "typo", "missing-package"}:          "there is no such package today; only the registry says so, and `--online` asks it",
}
