package requirements

import "slices"

// Chapters of the specification.
const (
	confused    = "Security best practices: confused deputy"
	passthrough = "Security best practices: token passthrough"
	ssrf        = "Security best practices: server-side request forgery"
	hijacking   = "Security best practices: session hijacking"
	localServer = "Security best practices: local servers"
	proxied     = "Security best practices: stdio behind a proxy"
	oauthURLs   = "Security best practices: OAuth URLs"
	scopes      = "Security best practices: scopes"
	authz       = "Authorization"
	transports  = "Transports"
	headers     = "Transports: headers"
	protocol    = "Base protocol"
	caching     = "Caching"
	rounds      = "Requests for input"
	schemas     = "Schemas and content"
	tools       = "Tools"
	resources   = "Resources"
	prompts     = "Prompts and completion"
	logging     = "Logging"
	fromClient  = "Roots and sampling"
	elicitation = "Elicitation"
	tasks       = "Tasks"
	naming      = "Joined servers"
)

// Reasons that several requirements share, by the name under which the page has
// them.
const (
	noAuthorizationServer = "no authorization server"
	oneClick              = "installing servers"
)

// Reasons says each of them in full.
var Reasons = []struct{ Name, Text string }{
	{noAuthorizationServer, "Gatehouse has no authorize, token or registration endpoint, shows no consent page and starts nobody's login at a third " +
		"party. `Test_no_authorization_server_is_offered` looks for one."},
	{oneClick, "Gatehouse executes what a person wrote into the configuration and offers no command to install a server with. The audit before " +
		"installation is not built yet."},
}

// Folders with tests.
const (
	approvalTests    = "internal/approval"
	configTests      = "internal/config"
	downstreamTests  = "internal/downstream"
	gatewayTests     = "internal/gateway"
	schemaTests      = "internal/schema"
	upstreamTests    = "internal/upstream"
	wireTests        = "internal/wire"
	integrationTests = "test/integration"
	egressTests      = "internal/egress"
	sandboxTests     = "internal/sandbox"
	escapeTests      = "test/sandbox"
	oauthTests       = "internal/oauth"
	conformanceTests = "test/conformance"
)

// authSuite holds the official scenarios for OAuth clients, run with the gateway as
// one.
var authSuite = in(conformanceTests, "TestConformance_the_gateway_loses_nothing")

// Table is every requirement, by number.
var Table = []Requirement{
	{Number: 1, Level: Must, From: confused, Text: "A proxy with one client id at a third party asks each user about each client before it passes a login on.", Why: noAuthorizationServer},
	{Number: 2, Level: Must, From: confused, Text: "It remembers for each user which clients were agreed to.", Why: noAuthorizationServer},
	{Number: 3, Level: Must, From: confused, Text: "It looks there before anything is sent to the third party.", Why: noAuthorizationServer},
	{Number: 4, Level: Must, From: confused, Text: "What was agreed to is kept where a client cannot forge it.", Why: noAuthorizationServer},
	{Number: 5, Level: Must, From: confused, Text: "The consent page names the client that asks.", Why: noAuthorizationServer},
	{Number: 6, Level: Must, From: confused, Text: "The consent page lists what the third party would grant.", Why: noAuthorizationServer},
	{Number: 7, Level: Must, From: confused, Text: "The consent page shows where the answer will be sent.", Why: noAuthorizationServer},
	{Number: 8, Level: Must, From: confused, Text: "Consent cannot be given by a request from another site.", Why: noAuthorizationServer},
	{Number: 9, Level: Must, From: confused, Text: "The consent page cannot be shown in a frame.", Why: noAuthorizationServer},
	{Number: 10, Level: Must, From: confused, Text: "Cookies about consent belong to one host by their name (`__Host-`).", Why: noAuthorizationServer},
	{Number: 11, Level: Must, From: confused, Text: "Such cookies are Secure, HttpOnly and SameSite=Lax.", Why: noAuthorizationServer},
	{Number: 12, Level: Must, From: confused, Text: "Such cookies are signed, or only point to what the server keeps.", Why: noAuthorizationServer},
	{Number: 13, Level: Must, From: confused, Text: "Such a cookie counts for the one client it was set for.", Why: noAuthorizationServer},
	{Number: 14, Level: Must, From: confused, Text: "A redirect URI equals a registered one, character by character.", Why: noAuthorizationServer},
	{Number: 15, Level: Must, From: confused, Text: "A client with another redirect URI has to register again.", Why: noAuthorizationServer},
	{Number: 16, Level: Must, From: confused, Text: "Registered redirect URIs hold no patterns.", Why: noAuthorizationServer},
	{Number: 17, Level: Must, From: confused, Text: "Each login that is passed on has an unguessable state of its own.", Why: noAuthorizationServer},
	{Number: 18, Level: Must, From: confused, Text: "That state is stored only after consent.", Why: noAuthorizationServer},
	{Number: 19, Level: Must, From: confused, Text: "It is stored right before the user is sent away.", Why: noAuthorizationServer},
	{Number: 20, Level: Must, From: confused, Text: "The state that comes back equals the one that was stored.", Why: noAuthorizationServer},
	{Number: 21, Level: Must, From: confused, Text: "An answer without a state is refused.", Why: noAuthorizationServer},
	{Number: 22, Level: Must, From: confused, Text: "A state is good once and for minutes.", Why: noAuthorizationServer},
	{Number: 23, Level: Must, From: confused, Text: "Clients that registered by themselves are consented to one by one, too.", Why: noAuthorizationServer},

	{Number: 24, Level: Must, From: passthrough, Text: "Only tokens that were issued for the gateway are accepted."},
	{Number: 25, Level: Must, From: passthrough, Text: "No credential of a client is ever passed on to a server."},
	{Number: 26, Level: Must, From: authz, Text: "A token's signature, issuer and times are checked before anything is done."},
	{Number: 27, Level: Must, From: authz, Text: "Bad tokens are answered 401, missing rights 403, malformed requests 400."},
	{Number: 28, Level: Must, From: authz, Text: "Tokens travel in the Authorization header, never in a URL: one in a URL is not used and not passed on."},
	{Number: 29, Level: Must, From: authz, Text: "Nothing reaches whoever is not entitled to it, not by a cache, a stream or an error.",
		Elsewhere: in(gatewayTests, "TestHandle_strangers_are_refused", "TestPool_sessions_are_never_shared_between_principals", "TestFitList_a_filtered_list_is_private", "TestMatrix_a_server_that_is_denied_is_not_there", "TestMatrix_a_thing_that_is_denied_is_not_there")},
	{Number: 30, Level: Must, From: authz, Text: "Tokens are stored where others cannot read them and appear in no log.",
		Elsewhere: slices.Concat(in(configTests, "Test_secrets_are_never_printed", "Test_errors_and_warnings_show_no_secret"),
			in(oauthTests, "TestStore_shows_no_secret", "TestStore_refuses_what_was_tampered_with"))},
	{Number: 31, Level: Must, From: authz, Text: "A server gets only tokens that its own authorization server issued, also after a redirect.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestTransport_sends_the_token_to_its_server_only", "TestTransport_does_not_follow_redirects", "TestTransport_takes_nothing_to_another_authorization_server"), in(gatewayTests, "TestTokens_of_another_principal_or_URL_are_not_used"), in(egressTests, "TestSameOrigin"))},
	{Number: 32, Level: Must, From: authz, Text: "Refresh tokens are kept secret, asked for, and not taken for granted.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestStore_shows_no_secret", "TestTransport_renews_a_token_once_for_all", "TestTransport_asks_for_a_login_when_renewing_does_not_help"))},
	{Number: 33, Level: Should, From: authz, Text: "`offline_access` is not among the scopes that the gateway asks of its clients."},
	{Number: 34, Level: Must, From: authz, Text: "The gateway publishes protected resource metadata with an authorization server."},
	{Number: 35, Level: Must, From: authz, Text: "A 401 leads to that metadata, or it is at its well-known place."},
	{Number: 36, Level: Should, From: authz, Text: "A 401 names the scopes that are needed."},
	{Number: 37, Level: Must, From: authz, Text: "A server's metadata is looked for by header, then below the path, then at the root.",
		Elsewhere: authSuite},
	{Number: 38, Level: Must, From: authz, Text: "An authorization server's metadata is looked for at each place that the specification names, in its order.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_as_before_2025_06_18"))},
	{Number: 39, Level: Must, From: authz, Text: "Metadata of another issuer than the one asked is refused.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_is_refused"))},
	{Number: 40, Level: Must, From: authz, Text: "Every authorization and token request names the server it is for.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin", "TestLogin_is_refused"))},
	{Number: 41, Level: Must, From: authz, Text: "Logins use PKCE with S256 and do not happen where it is not offered.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_is_refused"))},
	{Number: 42, Level: Must, From: authz, Text: "The issuer in an answer is compared exactly with the one that the login began at.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_is_refused"))},
	{Number: 43, Level: Must, From: authz, Text: "Client credentials belong to one issuer and are not used at another.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_keeps_a_registration_for_its_authorization_server_only", "TestStore_registrations_are_for_one_issuer"))},
	{Number: 44, Level: Should, From: authz, Text: "A client metadata document is used where there is no registration by hand, and it is correct.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_prefers_preregistered_then_document_then_registration"))},
	{Number: 45, Level: Must, From: authz, Text: "Dynamic registration says which kind of application asks, and may fail.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_prefers_preregistered_then_document_then_registration", "TestLogin_is_refused"))},
	{Number: 46, Level: Must, From: authz, Text: "Redirects go to this machine or to https, and their state is verified.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLoopback_waits_for_the_right_answer", "TestLogin_is_refused"))},
	{Number: 47, Level: Must, From: authz, Text: "The endpoints of an authorization server are https.", Why: noAuthorizationServer},
	{Number: 48, Level: Must, From: authz, Text: "An authorization server replaces refresh tokens of public clients at each use.", Why: noAuthorizationServer},
	{Number: 49, Level: Must, From: authz, Text: "An authorization server checks the client metadata documents that it fetches.", Why: noAuthorizationServer},
	{Number: 50, Level: Must, From: authz, Text: "An authorization server shows the host that a login leads back to.", Why: noAuthorizationServer},
	{Number: 51, Level: Must, From: authz, Text: "An authorization server says in its metadata that its answers carry the issuer.", Why: noAuthorizationServer},
	{Number: 52, Level: Must, From: authz, Text: "Where an enterprise manages access, the exchange of tokens is exactly as the extension has it.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestEnterprise"))},

	{Number: 53, Level: Must, From: ssrf, Text: "Fetching what a server names cannot be used to reach other machines.",
		Elsewhere: slices.Concat(in(egressTests, "TestPublic", "TestDialContext_checks_every_address_and_dials_only_what_it_checked"), in(oauthTests, "TestLogin_without_an_allowance_stays_on_public_addresses"))},
	{Number: 54, Level: Should, From: ssrf, Text: "Such addresses are https, but for this machine and what is explicitly allowed.",
		Elsewhere: slices.Concat(in(egressTests, "TestClient_speaks_https_only"), in(oauthTests, "TestLogin_is_refused", "TestTransport_sends_no_token_over_plain_http"))},
	{Number: 55, Level: Should, From: ssrf, Text: "Private, local and metadata addresses are not dialled, in no spelling.",
		Elsewhere: in(egressTests, "TestPublic", "TestPlainHost_refuses_every_other_spelling_of_an_address", "FuzzPublic_no_special_address_passes_in_any_form", "TestAllowances_by_name_never_reach_metadata")},
	{Number: 56, Level: Should, From: ssrf, Text: "Every redirect is checked like the first address.", Elsewhere: in(egressTests, "TestClient_checks_every_hop")},
	{Number: 57, Level: Should, From: ssrf, Text: "All of this can go through a proxy.", Elsewhere: in(egressTests, "TestClient_uses_a_proxy_only_if_it_is_given")},
	{Number: 58, Level: Should, From: ssrf, Text: "What was checked is what is dialled, whatever DNS says a moment later.", Elsewhere: in(egressTests, "TestDialContext_asks_once_so_that_rebinding_has_no_effect")},
	{Number: 59, Level: Should, From: ssrf, Text: "What a fetch met is told neither to the server nor to a client.",
		Elsewhere: in(oauthTests, "TestTransport_says_what_to_run"),
		Part:      "A client reads which command a person should run; that nothing of a fetch goes back to the server has no test of its own."},

	{Number: 60, Level: Must, From: hijacking, Text: "Every request is checked, not only the first of a session.",
		Elsewhere: in(gatewayTests, "TestHandle_strangers_are_refused")},
	{Number: 61, Level: Must, From: hijacking, Text: "A session or handle authenticates nobody.",
		Elsewhere: slices.Concat(in(gatewayTests, "TestHandle_strangers_are_refused", "TestErrand_a_state_is_for_one_principal_and_one_request"), in(integrationTests, "TestPipeline_a_session_is_of_one_mount"))},
	{Number: 62, Level: Must, From: hijacking, Text: "Session ids are unguessable and visible ASCII."},
	{Number: 63, Level: Should, From: hijacking, Text: "Sessions, queues and handles are bound to their principal.",
		Elsewhere: in(gatewayTests, "TestErrand_a_state_is_for_one_principal_and_one_request", "TestPool_sessions_are_never_shared_between_principals")},
	{Number: 64, Level: Should, From: hijacking, Text: "Sessions expire.", Elsewhere: in(gatewayTests, "TestSweep_ends_sessions_that_are_idle", "TestErrand_a_state_expires_and_the_call_with_it")},
	{Number: 65, Level: Must, From: hijacking, Text: "A request in a session that has ended gets 404.",
		Elsewhere: slices.Concat(in(integrationTests, "TestPipeline_a_session_is_of_one_mount"), in(gatewayTests, "TestSweep_ends_sessions_that_are_idle"))},
	{Number: 66, Level: Must, From: hijacking, Text: "A message goes to one stream only and is never replayed on another."},
	{Number: 67, Level: Must, From: hijacking, Text: "The session with a server that stands behind a client without one is reachable by no other principal.",
		Elsewhere: in(gatewayTests, "TestPool_sessions_are_never_shared_between_principals")},

	{Number: 68, Level: Must, From: localServer, Text: "A command that comes with one click is executed only after consent.", Why: oneClick},
	{Number: 69, Level: Must, From: localServer, Text: "Before that it is shown whole, with its arguments.", Why: oneClick},
	{Number: 70, Level: Must, From: localServer, Text: "It is said that this executes code.", Why: oneClick},
	{Number: 71, Level: Must, From: localServer, Text: "Approval is a deliberate act.",
		Elsewhere: slices.Concat(in(integrationTests, "TestAdmission_explicit_waits_for_a_person"), in(approvalTests, "Test_review_shows_and_approves_nothing_without_a_person")),
		Part:      "With `approve: first-use`, the default, the command in the configuration is approved by being written there."},
	{Number: 72, Level: Must, From: localServer, Text: "It can be declined.", Elsewhere: in(approvalTests, "Test_review_asks_for_each_server")},
	{Number: 73, Level: Must, From: localServer, Text: "Without approval, or with another command than the approved one, nothing is executed.",
		Elsewhere: slices.Concat(in(gatewayTests, "TestReadAndJudge_a_changed_command_is_not_started"), in(integrationTests, "TestAdmission_another_command_is_not_started"))},
	{Number: 74, Level: Should, From: localServer, Text: "Dangerous commands are pointed out.", Why: oneClick},
	{Number: 75, Level: Should, From: localServer, Text: "Access to a home folder, keys and system folders is pointed out.", Why: oneClick},
	{Number: 76, Level: Should, From: localServer, Text: "It is said that a server has the rights of whoever starts it.", Why: oneClick},
	{Number: 77, Level: Should, From: localServer, Text: "Servers run with the least privilege.",
		Elsewhere: slices.Concat(in(upstreamTests, "Test_the_environment_is_what_is_listed", "Test_an_empty_environment_is_not_ours", "Test_the_folder_is_the_configured_one"),
			in(escapeTests, "Test_escapes", "Test_escapes_of_an_ordinary_user")),
		Part: "A server gets only the environment that is listed for it. With a `sandbox` section it gets nothing else that is not listed either."},
	{Number: 78, Level: Should, From: localServer, Text: "A server's files and network are restricted.",
		Elsewhere: slices.Concat(in(escapeTests, "Test_escapes", "Test_escapes_of_an_ordinary_user"), in(sandboxTests, "Test_what_a_program_finds_inside")),
		Part:      "Where it has a `sandbox` section, on Linux."},
	{Number: 79, Level: Should, From: localServer, Text: "More can be granted explicitly.",
		Elsewhere: slices.Concat(in(sandboxTests, "Test_granted_folders_are_shared_with_the_machine", "Test_only_listed_programs_start"), in(escapeTests, "Test_real_servers_work_inside"))},
	{Number: 80, Level: Should, From: localServer, Text: "The restriction is that of the platform.",
		Elsewhere: in(sandboxTests, "Test_a_program_runs_inside", "Test_less_than_was_asked_does_not_start"), Part: "On Linux; elsewhere a server with a `sandbox` section does not start."},
	{Number: 81, Level: Should, From: localServer, Text: "On one machine stdio is used, or HTTP asks for a token.",
		Elsewhere: in(integrationTests, "TestPipeline_run_wraps_one_server"), Part: "`run` and `serve --stdio` open no port. HTTP asks for a token where there is a section `identity`; without it, every program of this machine is the local user."},
	{Number: 82, Level: Should, From: proxied, Text: "Processes that a proxy starts are contained.",
		Elsewhere: slices.Concat(in(gatewayTests, "Test_a_server_with_a_sandbox_runs_in_it_and_the_log_says_so", "Test_a_server_whose_sandbox_is_not_whole_does_not_start"), in(escapeTests, "Test_escapes", "Test_everything_ends_when_the_gateway_is_killed")),
		Part:      "Where they have a `sandbox` section, on Linux."},
	{Number: 83, Level: Should, From: proxied, Text: "They see only the files they need.",
		Elsewhere: in(sandboxTests, "Test_what_a_program_finds_inside", "Test_what_is_granted_is_mounted_once_and_in_order"), Part: "Where they have a `sandbox` section, on Linux."},
	{Number: 84, Level: Should, From: proxied, Text: "Every start of a process and every message to it is in the log."},
	{Number: 85, Level: Should, From: proxied, Text: "Dangerous commands need an approval of their own.",
		Elsewhere: in(integrationTests, "TestAdmission_explicit_waits_for_a_person", "TestAdmission_another_command_is_not_started"),
		Part:      "`approve: explicit` asks for every server; Gatehouse does not tell dangerous commands from others."},
	{Number: 86, Level: Must, From: proxied, Text: "No caller can choose what is executed."},
	{Number: 87, Level: Should, From: proxied, Text: "The proxy itself needs few rights."},

	{Number: 88, Level: Must, From: oauthURLs, Text: "A login leads to https, or to http on this machine, and nowhere else.",
		Elsewhere: slices.Concat(in(egressTests, "TestClient_speaks_https_only"), in(oauthTests, "TestLogin_is_refused"))},
	{Number: 89, Level: Must, From: oauthURLs, Text: "`javascript:`, `data:`, `file:` and the like are refused.",
		Elsewhere: slices.Concat(in(egressTests, "TestClient_speaks_https_only"), in(oauthTests, "TestLogin_is_refused"))},
	{Number: 90, Level: Should, From: oauthURLs, Text: "Schemes are allowed by name, not forbidden by name.",
		Elsewhere: slices.Concat(in(egressTests, "TestClient_speaks_https_only"), in(oauthTests, "TestLogin_is_refused"))},
	{Number: 91, Level: Must, From: oauthURLs, Text: "No shell sees an address.",
		Elsewhere: in(oauthTests, "TestLogin_is_refused")},
	{Number: 92, Level: Should, From: oauthURLs, Text: "If a browser is opened, it is by a call that knows no shell.",
		Why: "`gatehouse login` shows the address and opens nothing by itself."},
	{Number: 93, Level: Must, From: oauthURLs, Text: "Every address that a server names is checked, and suspicious ones are logged.",
		Elsewhere: slices.Concat(in(egressTests, "TestPublic", "TestClient_checks_every_hop"), in(oauthTests, "TestLogin_is_refused"))},
	{Number: 94, Level: Should, From: oauthURLs, Text: "A web page of the gateway allows no scripts but its own.", Why: "Gatehouse has no web page yet: every answer is JSON, an event stream or a line of plain text."},

	{Number: 95, Level: Should, From: scopes, Text: "The first login asks for little.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_chooses_scopes"))},
	{Number: 96, Level: Should, From: scopes, Text: "What more is needed is said precisely when it is needed."},
	{Number: 97, Level: Must, From: scopes, Text: "Narrower tokens than asked for work, and scopes that imply others are understood.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_chooses_scopes"))},
	{Number: 98, Level: Should, From: scopes, Text: "Every elevation is in the log.",
		Elsewhere: []Reference{{"internal/gateway", "TestTokens_elevations_are_logged_with_the_call_that_needs_them"}}},
	{Number: 99, Level: Must, From: scopes, Text: "The scopes of a challenge are what is asked for, else those of the metadata, else none.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestLogin_chooses_scopes"))},
	{Number: 100, Level: Should, From: scopes, Text: "A further login asks for old and new scopes together, a bounded number of times.",
		Elsewhere: slices.Concat(authSuite, in(oauthTests, "TestTransport_steps_up_with_a_person", "TestTransport_does_not_renew_again_and_again"))},
	{Number: 101, Level: Should, From: scopes, Text: "There are no scopes for everything, and a scope alone allows nothing."},

	{Number: 102, Level: Must, From: transports, Text: "Origin and Host are checked on every connection; a foreign one gets 403.",
		Elsewhere: slices.Concat(in(integrationTests, "TestPipeline_foreign_hosts_and_origins"), in(downstreamTests, "Test_only_names_of_this_machine_may_stand_in_host", "Test_only_known_origins_may_speak"))},
	{Number: 103, Level: Should, From: transports, Text: "On one machine only the loopback address is listened on."},
	{Number: 104, Level: Should, From: transports, Text: "Every connection is authenticated.",
		Elsewhere: slices.Concat(in(gatewayTests, "TestHandle_strangers_are_refused"), in(downstreamTests, "Test_only_this_machine_is_local")),
		Part:      "Without a section `identity` a connection must come from this machine, and who on it speaks is not asked."},
	{Number: 105, Level: Must, From: headers, Text: "Headers that are missing or differ from the body are answered 400 and -32020.",
		Elsewhere: slices.Concat(in(integrationTests, "TestSmuggling_headers_that_disagree_with_the_body"), in(gatewayTests, "TestMatchParamHeaders"))},
	{Number: 106, Level: Must, From: headers, Text: "Unknown Mcp-Param headers are passed on, and looked at in decoded form first."},
	{Number: 107, Level: Should, From: headers, Text: "Policy that reads headers wants a revision in which they are checked against the body."},
	{Number: 108, Level: Must, From: headers, Text: "Mcp-Param values are not believed, and oversized headers are refused before they are decoded.",
		Elsewhere: in(gatewayTests, "TestMatchParamHeaders")},
	{Number: 109, Level: Must, From: headers, Text: "Tools that want impossible headers are left out; possible ones are mirrored."},
	{Number: 110, Level: Must, From: protocol, Text: "Unknown revisions are answered with those that exist, server/discover is there, and unknown or removed methods get 404 and -32601.",
		Elsewhere: in(conformanceTests, "TestConformance_the_gateway_loses_nothing")},
	{Number: 111, Level: Must, From: protocol, Text: "Nothing is asked of a client that it did not declare to answer.",
		Elsewhere: slices.Concat(in(integrationTests, "TestPipeline_questions_reach_clients_that_declared_them"), in(gatewayTests, "TestErrand_a_server_may_ask_only_what_the_client_declared"))},
	{Number: 112, Level: Must, From: protocol, Text: "In 2026-07-28 nothing follows from earlier requests on the same connection."},
	{Number: 113, Level: Should, From: protocol, Text: "Every request has a time limit, whatever progress is reported, and progress is limited.",
		Elsewhere: slices.Concat(in(gatewayTests, "TestForward_timeouts", "TestForward_the_clock_stands_while_the_client_is_asked"), in(upstreamTests, "Test_too_many_events_in_one_call", "Test_progress_that_nobody_asked_for_is_dropped"))},
	{Number: 114, Level: Must, From: transports, Text: "Closing a stream cancels the request in 2026-07-28 and not before.",
		Elsewhere: slices.Concat(in(downstreamTests, "Test_disconnection_cancels_in_the_modern_era_only"), in(integrationTests, "TestKill_a_client_that_goes_away", "TestKill_a_client_that_cancels"))},
	{Number: 115, Level: Must, From: transports, Text: "On stdio there are only messages, one a line; a process is ended with everything it started.",
		Elsewhere: slices.Concat(in(downstreamTests, "Test_lines_are_written_whole_and_without_breaks", "Test_stdio_refuses_what_is_no_message_and_goes_on"),
			in(upstreamTests, "Test_what_is_written_is_one_line", "Test_close_ends_the_whole_family", "Test_lines_that_are_no_messages_are_passed_over_and_counted"),
			in(integrationTests, "TestKill_nothing_is_left_of_servers_that_hold_on"))},
	{Number: 116, Level: Must, From: protocol, Text: "Ids are texts or integers and unique in flight, error codes are integers, and a body is one message.",
		Elsewhere: slices.Concat(in(wireTests, "Test_parse_refuses_what_is_no_message"), in(integrationTests, "TestPipeline_an_id_in_flight_is_not_taken_twice", "TestSmuggling_ambiguous_messages_reach_no_server"))},
	{Number: 117, Level: Must, From: caching, Text: "Private results are never shared, and answers that took a question are never kept.",
		Elsewhere: in(gatewayTests, "TestFitList_a_filtered_list_is_private", "TestJoinLists_hints", "TestAcross_answers_have_what_their_revision_wants")},
	{Number: 118, Level: Must, From: rounds, Text: "A state that comes back from a client is sealed and bound to principal, request and time.",
		Elsewhere: in(gatewayTests, "TestErrand_a_state_is_for_one_principal_and_one_request", "TestErrand_a_state_expires_and_the_call_with_it", "TestErrand_a_state_survives_a_restart_if_there_is_a_key")},
	{Number: 119, Level: Must, From: rounds, Text: "A server's state goes back to it unchanged, under a new id, and with no other request.",
		Elsewhere: in(gatewayTests, "TestCallModern_required_input_becomes_a_question", "TestCallModern_rounds_are_bounded")},
	{Number: 120, Level: Must, From: schemas, Text: "No schema makes the gateway fetch anything.",
		Elsewhere: slices.Concat(in(schemaTests, "Test_references_that_leave_the_schema_are_never_followed"), in(integrationTests, "TestPipeline_a_schema_that_cannot_be_used_refuses"))},
	{Number: 121, Level: Should, From: schemas, Text: "Depth, size and time of a schema are bounded.", Elsewhere: in(schemaTests, "Test_hostile_schemas_end_within_their_bound", "Test_every_check_has_its_own_budget")},
	{Number: 122, Level: Must, From: schemas, Text: "JSON Schema 2020-12 is understood, and an unknown dialect is an error.", Elsewhere: in(schemaTests, "Test_keywords", "Test_schemas_that_cannot_be_used_are_errors")},
	{Number: 123, Level: Must, From: schemas, Text: "Icons are not trusted: only https and data addresses reach a client.",
		Elsewhere: in(gatewayTests, "TestIcons_what_no_client_may_load_is_taken_out")},
	{Number: 124, Level: Must, From: tools, Text: "What a server says about its tools loosens nothing."},
	{Number: 125, Level: Should, From: protocol, Text: "The names that clients and servers give themselves decide nothing."},
	{Number: 126, Level: Must, From: tools, Text: "Tool arguments are validated and results cleaned.",
		Elsewhere: in(integrationTests, "TestRemoved_arguments_that_do_not_fit_the_schema", "TestResults_injected_orders_reach_no_client", "TestResults_secrets_reach_neither_client_nor_log", "TestPipeline_bounds_on_sessions_and_exchanges"),
		Part:      "Limits for each caller are opt-in: a section `quotas` sets them."},
	{Number: 127, Level: Should, From: tools, Text: "Sensitive calls are confirmed; results are validated, calls end in time and are in the log.",
		Elsewhere: slices.Concat(in(gatewayTests, "TestForward_timeouts", "TestHandle_what_cannot_be_recorded_does_not_leave"), in(integrationTests, "TestResults_what_the_log_keeps")),
		Part:      "Confirmation by a person comes with holds."},
	{Number: 128, Level: Must, From: resources, Text: "Addresses of resources are validated."},
	{Number: 129, Level: Must, From: prompts, Text: "Arguments and messages of prompts are validated.",
		Elsewhere: in(integrationTests, "TestResults_injected_orders_reach_no_client", "TestReview_a_drifted_prompt_completes_nothing")},
	{Number: 130, Level: Must, From: prompts, Text: "Completions are validated and disclose nothing.",
		Elsewhere: in(integrationTests, "TestReview_a_drifted_prompt_completes_nothing", "TestResults_secrets_reach_neither_client_nor_log"),
		Part:      "Limits for each caller are opt-in: a section `quotas` sets them."},
	{Number: 131, Level: Must, From: logging, Text: "Log messages carry no secrets.",
		Elsewhere: slices.Concat(in(integrationTests, "TestResults_secrets_reach_neither_client_nor_log", "TestReview_text_outside_of_what_is_inspected_reaches_no_client"), in(upstreamTests, "Test_too_many_events_in_one_call"))},
	{Number: 132, Level: Must, From: fromClient, Text: "Only proper file addresses are told to a server as roots."},
	{Number: 133, Level: Must, From: fromClient, Text: "Sampling is validated and limited.",
		Elsewhere: slices.Concat(in(gatewayTests, "TestFromServer_questions_are_bounded", "TestCallModern_rounds_are_bounded"), in(integrationTests, "TestResults_secrets_in_answers_to_questions")),
		Part:      "That each tool_use has its tool_result is left to the client, which must answer with an error."},
	{Number: 134, Level: Must, From: elicitation, Text: "A person who is asked sees which server asks."},
	{Number: 135, Level: Must, From: elicitation, Text: "An answer belongs to the person who was asked.", Elsewhere: in(gatewayTests, "TestErrand_a_state_is_for_one_principal_and_one_request")},
	{Number: 136, Level: Must, From: elicitation, Text: "An address to open reaches the client whole, and nobody fetches it before."},
	{Number: 137, Level: Must, From: elicitation, Text: "Forms do not ask for passwords and keys."},
	{Number: 138, Level: Must, From: elicitation, Text: "Whoever finishes a flow in the browser is who began it.", Why: "This is for the server whose page it is: Gatehouse sends nobody to a page of its own."},
	{Number: 139, Level: Must, From: elicitation, Text: "Opening an address does not log users in to the gateway itself.", Why: "Gatehouse asks clients nothing of its own; it passes on what servers ask."},
	{Number: 140, Level: Must, From: tasks, Text: "Tasks belong to who began them, and requests about them name them in a header.",
		Elsewhere: in(gatewayTests, "TestTasks_legacy", "TestTasks_extension")},
	{Number: 141, Level: Should, From: naming, Text: "Equal names of different servers are told apart by the configured id.",
		Elsewhere: slices.Concat(in(integrationTests, "TestPipeline_names_and_uris_where_servers_are_joined", "TestReview_joined_names_carry_their_server", "TestAdmission_two_definitions_of_one_name"),
			in(gatewayTests, "TestJoinedName", "TestJoinByName_a_hashed_name_finds_exactly_its_tool"))},
	{Number: 142, Level: Must, From: naming, Text: "A list is the same for every connection and in one order.",
		Elsewhere: in(gatewayTests, "TestJoinLists_order")},
}
