//! What each recorded failure is expected to be called, as a person read it off the page, and which fault it is: two answers with one
//! fault belong together, two with different faults do not.
//!
//! The answers of each kind were sorted by name and every third held back: those were not looked at while the rules were written.

/// The answer's name, its summary, its fault.
pub type Expected = (&'static str, &'static str, &'static str);

/// What the rules were written by.
pub const WORKING_SET: [Expected; 58] = [
    ("aiohttp-debug-stream", "one", "a page: one"),
    (
        "apache-debug-carp",
        "Could not connect: dbi:mysql:shop;password=hunter2-SECRET-7731",
        "carp.pl: connect",
    ),
    ("apache-debug-dead", "503 Service Unavailable", "bare: 503"),
    (
        "apache-debug-malformed",
        "500 Internal Server Error",
        "bare: 500",
    ),
    (
        "apache-prod-malformed",
        "500 Internal Server Error",
        "bare: 500",
    ),
    (
        "django-debug-404",
        "Page not found at /missing",
        "django: no /missing",
    ),
    (
        "django-debug-boom",
        "KeyError: 'cart-alice'",
        "django: boom",
    ),
    (
        "django-debug-swallowed",
        "KeyError: 'cart-bob'",
        "django: swallowed",
    ),
    (
        "django-debuggzip-404",
        "Page not found at /missing",
        "django: no /missing",
    ),
    (
        "django-prod-boom",
        "Server Error (500)",
        "bare: Server Error (500)",
    ),
    (
        "express-debug-500-404",
        "TypeError: Cannot read properties of null (reading 'x')",
        "express: x of null",
    ),
    (
        "express-debug-api-boom",
        "TypeError: Cannot read properties of undefined (reading 'id')",
        "express: id of undefined",
    ),
    ("express-debug-streamlen", "Report", "a page: report"),
    (
        "express-debuggzip-boom",
        "Error: connect ECONNREFUSED postgres://shop:hunter2-SECRET-7731@10.1.2.3:5432/shop",
        "express: boom",
    ),
    (
        "express-prod-boom",
        "Internal Server Error",
        "bare: Internal Server Error",
    ),
    (
        "fastapi-prod-boom",
        "Internal Server Error",
        "bare: Internal Server Error",
    ),
    (
        "fastify-debug-boom",
        "connect mysql://shop:hunter2-SECRET-7731@db.internal/shop",
        "fastify: boom",
    ),
    (
        "flask-debug-api-boom",
        "ConnectionError: could not connect to server: postgresql://shop:hunter2-SECRET-7731@10.1.2.3/shop",
        "flask: api",
    ),
    (
        "flask-debug-swallowed",
        "ConnectionError: could not connect to server: postgresql://shop:hunter2-SECRET-7731@10.1.2.3/shop",
        "flask: swallowed",
    ),
    (
        "gonet-debug-err",
        "dial tcp 10.1.2.3:5432: connect: connection refused (postgres://shop:hunter2-SECRET-7731@10.1.2.3:5432/shop)",
        "go: dial",
    ),
    ("gunicorn-prod-exithalf", "Report", "a page: report"),
    (
        "gunicorn-prod-hang",
        "Internal Server Error",
        "bare: Internal Server Error",
    ),
    ("haproxy-prod-503", "503 Service Unavailable", "bare: 503"),
    ("haproxy-prod-504", "504 Gateway Time-out", "bare: 504"),
    (
        "koa-debug-boom",
        "Internal Server Error",
        "bare: Internal Server Error",
    ),
    ("laravel-debug-404", "Not Found", "bare: Not Found"),
    (
        "laravel-debug-boom",
        "RuntimeException: Could not connect: mysql://shop:hunter2-SECRET-7731@db.internal/shop",
        "laravel: boom",
    ),
    ("lighttpd-prod-503", "503 Service Unavailable", "bare: 503"),
    ("nginx-debug-404", "404 Not Found", "bare: 404"),
    ("nginx-debug-502", "502 Bad Gateway", "bare: 502"),
    ("nginx-debug-504", "504 Gateway Time-out", "bare: 504"),
    ("nginx-debug-half", "500 Internal Server Error", "bare: 500"),
    (
        "php-debug-exception",
        "RuntimeException: Could not connect with mysql:host=10.1.2.3;user=shop;password=hunter2-SECRET-7731",
        "php: exception.php",
    ),
    (
        "php-debug-fpm-fatal",
        "Error: Call to undefined function load_cart_items()",
        "php: fatal.php",
    ),
    (
        "php-debug-fpm-sqlite",
        "PDOException: SQLSTATE[HY000]: General error: 1 no such table: shop_users",
        "php: sqlite.php",
    ),
    (
        "php-debug-late",
        "RuntimeException: Could not connect with mysql:host=10.1.2.3;user=shop;password=hunter2-SECRET-7731",
        "php: late.php",
    ),
    (
        "php-debug-mod-parse",
        "Parse error: syntax error, unexpected variable \"$x\"",
        "php: broken.inc",
    ),
    (
        "php-debug-ordie",
        "Could not connect: Connection refused (shop@127.0.0.1:3999)",
        "php: ordie.php",
    ),
    (
        "php-debug-vardump",
        "RuntimeException: Could not connect with mysql:host=10.1.2.3;user=shop;password=hunter2-SECRET-7731",
        "php: vardump.php",
    ),
    (
        "php-debug-warning",
        "Warning: include(/etc/shop/config-hunter2-SECRET-7731.php): Failed to open stream: No such file or directory",
        "php: warning.php",
    ),
    ("php-prod-late", "Report", "a page: report"),
    (
        "php-xdebug-warning",
        "Warning: include(/etc/shop/config-hunter2-SECRET-7731.php): Failed to open stream: No such file or directory",
        "php: warning.php",
    ),
    (
        "rails-debug-404",
        "Routing Error: No route matches [GET] \"/missing\"",
        "rails: no /missing",
    ),
    (
        "rails-debug-boom",
        "RuntimeError: could not connect: mysql2://shop:hunter2-SECRET-7731@db.internal/shop",
        "rails: boom",
    ),
    (
        "rails-debug-swallowed",
        "RuntimeError: cart failed: mysql2://shop:hunter2-SECRET-7731@db.internal/shop",
        "rails: swallowed",
    ),
    (
        "rails-debuggzip-template",
        "NoMethodError: undefined method `name' for nil:NilClass",
        "rails: template",
    ),
    (
        "raw-wire-clte",
        "OperationalError: (2003, \"Can't connect to MySQL server on 'db.internal'\")",
        "wire: checkout",
    ),
    (
        "raw-wire-gzip500",
        "OperationalError: (2003, \"Can't connect to MySQL server on 'db.internal'\")",
        "wire: checkout",
    ),
    (
        "raw-wire-nolen",
        "OperationalError: (2003, \"Can't connect to MySQL server on 'db.internal'\")",
        "wire: checkout",
    ),
    (
        "raw-wire-setcookie",
        "OperationalError: (2003, \"Can't connect to MySQL server on 'db.internal'\")",
        "wire: checkout",
    ),
    (
        "sinatra-prod-boom",
        "Internal Server Error",
        "bare: Internal Server Error",
    ),
    (
        "tomcat-debug-boom",
        "java.lang.IllegalStateException: Could not open connection jdbc:mysql://db.internal:3306/shop?user=shop&password=hunter2-SECRET-7731",
        "tomcat: boom.jsp",
    ),
    (
        "tomcat-debug-compile",
        "org.apache.jasper.JasperException: Unable to compile class for JSP: An error occurred at line: [1] in the jsp file: [/compile.jsp] The method undefinedMethod(String) is undefined for the type compile…",
        "tomcat: compile.jsp",
    ),
    (
        "tomcat-prod-boom",
        "HTTP Status 500 – Internal Server Error",
        "bare: HTTP Status 500",
    ),
    (
        "tornado-debug-boom",
        "RuntimeError: could not connect: mysql://shop:hunter2-SECRET-7731@db.internal/shop",
        "tornado: boom",
    ),
    (
        "wordpress-debug-boom",
        "Error: Call to a member function charge() on null",
        "wordpress: legacy-shop.php",
    ),
    (
        "wordpress-debug-sql",
        "WordPress database error: [Table 'shop_wp.wp_shop_carts' doesn't exist]",
        "wordpress: no table",
    ),
    (
        "wordpress-prod-dbdown",
        "Error establishing a database connection",
        "wordpress: database down",
    ),
];

/// What they were tried on.
pub const HELD_BACK: [Expected; 28] = [
    ("apache-prod-dead", "503 Service Unavailable", "bare: 503"),
    (
        "cherrypy-debug-boom",
        "RuntimeError: could not connect: mysql://shop:hunter2-SECRET-7731@db.internal/shop",
        "cherrypy: boom",
    ),
    (
        "django-debug-boom-json",
        "KeyError: 'cart-alice'",
        "django: boom",
    ),
    ("django-prod-stream", "Report", "a page: report"),
    (
        "express-debug-404",
        "Cannot GET /missing",
        "express: no /missing",
    ),
    (
        "express-debug-boom",
        "Error: connect ECONNREFUSED postgres://shop:hunter2-SECRET-7731@10.1.2.3:5432/shop",
        "express: boom",
    ),
    (
        "fastapi-debug-boom",
        "RuntimeError: could not connect: postgresql://shop:hunter2-SECRET-7731@10.1.2.3/shop",
        "fastapi: boom",
    ),
    (
        "flask-debug-boom",
        "ConnectionError: could not connect to server: postgresql://shop:hunter2-SECRET-7731@10.1.2.3/shop",
        "flask: boom",
    ),
    ("flask-prod-boom", "500 Internal Server Error", "bare: 500"),
    ("gonet-debug-panichalf", "Report", "a page: report"),
    ("jetty-debug-404", "404 Not Found", "bare: 404"),
    (
        "jetty-debug-boom",
        "java.sql.SQLException: Access denied for user 'shop'@'10.1.2.3' (using password: YES)",
        "jetty: boom",
    ),
    ("laravel-prod-boom", "Server Error", "bare: Server Error"),
    ("nginx-debug-500", "500 Internal Server Error", "bare: 500"),
    (
        "php-debug-cgi-exception",
        "RuntimeException: Could not connect with mysql:host=10.1.2.3;user=shop;password=hunter2-SECRET-7731",
        "php: exception.php",
    ),
    (
        "php-debug-fpm-gzip-exception",
        "RuntimeException: Could not connect with mysql:host=10.1.2.3;user=shop;password=hunter2-SECRET-7731",
        "php: exception.php",
    ),
    (
        "php-debug-mod-exception",
        "RuntimeException: Could not connect with mysql:host=10.1.2.3;user=shop;password=hunter2-SECRET-7731",
        "php: exception.php",
    ),
    (
        "php-debug-pdo",
        "PDOException: SQLSTATE[HY000] [2002] Connection refused",
        "php: pdo.php",
    ),
    (
        "php-plain-fatal",
        "Error: Call to undefined function load_cart_items()",
        "php: fatal.php",
    ),
    (
        "rack-puma-dev-boom",
        "RuntimeError: could not connect: mysql://shop:hunter2-SECRET-7731@db.internal/shop",
        "puma: boom",
    ),
    (
        "rails-debug-sql",
        "ActiveRecord::StatementInvalid: Could not find table 'carts'",
        "rails: sql",
    ),
    (
        "rails-prod-boom",
        "We're sorry, but something went wrong (500)",
        "rails: sorry",
    ),
    (
        "raw-wire-chunk500",
        "OperationalError: (2003, \"Can't connect to MySQL server on 'db.internal'\")",
        "wire: checkout",
    ),
    ("raw-wire-half", "500 Internal Server Error", "bare: 500"),
    (
        "sinatra-debug-boom",
        "RuntimeError: could not connect: mysql://shop:hunter2-SECRET-7731@db.internal/shop",
        "sinatra: boom",
    ),
    (
        "tomcat-debug-errpage",
        "java.lang.NullPointerException: cart for hunter2-SECRET-7731 is null",
        "tomcat: errpage.jsp",
    ),
    (
        "wordpress-debug-dbdown",
        "Error establishing a database connection",
        "wordpress: database down",
    ),
    (
        "wordpress-prod-boom",
        "There has been a critical error on this website.",
        "wordpress: critical error",
    ),
];
