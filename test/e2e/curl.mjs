/** Enough of curl for the examples of README.md, on machines without it: -s, -X, -H, -d and a URL. Exits 22 for status 400 and above, but for 410: that a session is kicked is an example. */
const options = { method: "GET", headers: {}, body: undefined };
let url;
const args = process.argv.slice(2);
while (args.length > 0) {
  const arg = args.shift();
  if (arg === "-s") continue;
  else if (arg === "-X") options.method = args.shift();
  else if (arg === "-d") options.body = args.shift();
  else if (arg === "-H") {
    const [name, ...value] = args.shift().split(":");
    options.headers[name] = value.join(":").trim();
  } else if (arg.startsWith("-") || url !== undefined) throw new Error(`not known here: ${arg}`);
  else url = arg;
}
const response = await fetch(url, options);
process.stdout.write(await response.text());
process.exitCode = response.status >= 400 && response.status !== 410 ? 22 : 0;
