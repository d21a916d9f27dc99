// A service worker controls the pages beside and below its own file, so it lies beside the page.
importScripts('pop/sw.js');
