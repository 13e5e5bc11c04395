// ?embed: the page as part of another one, which shows the avatar and what a visitor needs alone.

if (new URLSearchParams(location.search).has("embed")) document.body.dataset.embed = "";
