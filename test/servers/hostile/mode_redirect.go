package main

// redirect is carried out by the HTTP front; over stdio there is nothing to
// redirect.
var redirect = mode{
	name:  "redirect",
	about: "HTTP: every request is redirected to -target",
}
