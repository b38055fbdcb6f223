import { escapeHtml } from '../../../primitives/mailer/index.ts'

/** The page of the inbox; what it shows comes by its script. */
export function inboxPage(app: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mail · ${escapeHtml(app)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/dev/mail/inbox.css">
</head>
<body>
<header class="bar">
<h1>Mail <span>${escapeHtml(app)}</span></h1>
<input id="search" type="search" placeholder="Search subject, text, addresses" aria-label="Search" autocomplete="off">
<select id="templates" aria-label="Preview a template" hidden></select>
<button id="clear" type="button" class="quiet">Delete all</button>
</header>
<div class="panes">
<nav id="list" aria-label="Mails"></nav>
<main id="mail" tabindex="-1"></main>
</div>
<p id="state" role="status" aria-live="polite"></p>
<script src="/dev/mail/inbox.js" defer></script>
</body>
</html>
`
}
