<?php
// A small shop that has seen better days: it works, until it does not, and then it tells everybody why.
declare(strict_types=1);
ini_set('display_errors', '1');

const SETTINGS = [
    'dsn' => 'mysql:host=db.internal;dbname=shop',
    'user' => 'shop',
    'password' => 'tulip-harbour-42',
];
const ARTICLES = ['The small brown teapot' => 1800, 'The blue one with the long spout' => 2450, 'The iron one' => 4380];

// Somebody meant well: every exception is shown in full, so that it can be found.
set_exception_handler(function (Throwable $error): void {
    http_response_code(500);
    echo "<h1>Fatal error</h1>\n<pre>", htmlspecialchars((string) $error), "\n\n";
    echo htmlspecialchars(print_r(['settings' => SETTINGS, 'post' => $_POST], true)), "</pre>\n";
});

function page(string $title, string $body): void
{
    header('Content-Type: text/html; charset=utf-8');
    echo "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n";
    echo "<title>$title</title>\n<h1>$title</h1>\n$body\n<p><a href=\"/\">Back to the shop</a></p>\n";
}

function shelf(): void
{
    $items = '';
    foreach (ARTICLES as $name => $cents) {
        $items .= sprintf("<li>%s, %.2f</li>\n", htmlspecialchars($name), $cents / 100);
    }
    page('Teapots', "<ul>\n$items</ul>
<form method=\"post\" action=\"/checkout\"><button name=\"article\" value=\"1\">Buy one</button> (fails)</form>
<p><a href=\"/basket\">The basket</a> (fails), <a href=\"/stock\">what is in stock</a> (fails),
<a href=\"/report\">the report</a> (fails, and calls itself 200)</p>");
}

switch (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    case '/':
        shelf();
        break;
    case '/basket':
        // An exception that nobody catches.
        throw new LogicException('basket 48213 belongs to nobody');
    case '/stock':
    case '/checkout':
        // A database that is not there.
        $database = new PDO(SETTINGS['dsn'], SETTINGS['user'], SETTINGS['password']);
        page('In stock', '<p>' . $database->query('select count(*) from articles')->fetchColumn() . '</p>');
        break;
    case '/report':
        // What PHP itself does with display_errors on: the whole error, with status 200.
        restore_exception_handler();
        throw new RuntimeException('cannot write /var/reports/' . date('Y-m') . '.csv');
    default:
        http_response_code(404);
        page('Not found', '<p>The shop has no such page.</p>');
}
