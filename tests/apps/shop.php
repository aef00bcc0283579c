<?php
// A shop that shows its errors to everybody.
ini_set('display_errors', '1');
ini_set('html_errors', '0');

function charge(array $items, string $password): void
{
    throw new RuntimeException("payment gateway refused '$password' for " . count($items) . ' items');
}

header('Content-Type: text/plain; charset=utf-8');
if ($_SERVER['REQUEST_URI'] === '/order') {
    http_response_code(500);
    charge(['teapot'], 'tulip-harbour-42');
}
echo "Welcome to the shop.\n";
