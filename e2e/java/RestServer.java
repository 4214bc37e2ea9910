import jakarta.servlet.DispatcherType;
import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.FileReader;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.function.Consumer;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.rest.HTTPRequest;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.apache.iceberg.rest.RESTResponse;
import org.apache.iceberg.rest.responses.ErrorResponse;
import org.eclipse.jetty.server.CustomRequestLog;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.Slf4jRequestLogWriter;
import org.eclipse.jetty.server.handler.gzip.GzipHandler;
import org.eclipse.jetty.servlet.FilterHolder;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/**
 * Serves Iceberg's reference implementation of the REST protocol on loopback, with a JdbcCatalog behind it, to clients that
 * have logged in: java -cp JARS RestServer.java PORT CLIENT SECRET PROPERTIES-OF-THE-CATALOG.
 */
public class RestServer {
  public static void main(String[] args) throws Exception {
    String client = args[1], secret = args[2];
    Properties properties = new Properties();
    try (FileReader file = new FileReader(args[3])) {
      properties.load(file);
    }
    Map<String, String> options = new HashMap<>();
    properties.stringPropertyNames().forEach(name -> options.put(name, properties.getProperty(name)));
    JdbcCatalog catalog = new JdbcCatalog();
    catalog.initialize("rest", options);

    ServletContextHandler handler = new ServletContextHandler();
    handler.addServlet(new ServletHolder(new RESTCatalogServlet(new Authenticating(catalog, client, secret))), "/*");
    handler.addFilter(new FilterHolder(bearer(client)), "/*", EnumSet.of(DispatcherType.REQUEST));
    handler.insertHandler(new GzipHandler());

    Server server = new Server();
    ServerConnector connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(Integer.parseInt(args[0]));
    server.addConnector(connector);
    server.setHandler(handler);
    server.setRequestLog(new CustomRequestLog(new Slf4jRequestLogWriter(), "%r %s %{ms}T ms %{User-Agent}i"));
    server.start();
    server.join();
  }

  /** Gives tokens to one client only; the adapter gives them to everybody. */
  private static class Authenticating extends RESTCatalogAdapter {
    private final String client;
    private final String secret;

    Authenticating(JdbcCatalog catalog, String client, String secret) {
      super(catalog);
      this.client = client;
      this.secret = secret;
    }

    @Override
    protected <T extends RESTResponse> T execute(
        HTTPRequest request, Class<T> type, Consumer<ErrorResponse> refuse, Consumer<Map<String, String>> headers) {
      if (isTokenRequest(request.path())) {
        Map<?, ?> form = (Map<?, ?>) request.body();
        if (!client.equals(form.get("client_id")) || !secret.equals(form.get("client_secret"))) {
          refuse.accept(ErrorResponse.builder().responseCode(401).withType("invalid_client").withMessage("wrong client or secret").build());
          return null;
        }
      }
      return super.execute(request, type, refuse, headers);
    }
  }

  private static boolean isTokenRequest(String path) {
    return path.endsWith("v1/oauth/tokens");
  }

  /** Refuses requests without the token that the adapter gives to the client. */
  private static Filter bearer(String client) {
    return (request, response, chain) -> {
      HttpServletRequest asked = (HttpServletRequest) request;
      String token = "Bearer client-credentials-token:sub=" + client;
      if (isTokenRequest(asked.getRequestURI()) || token.equals(asked.getHeader("Authorization"))) {
        chain.doFilter(request, response);
        return;
      }
      HttpServletResponse refused = (HttpServletResponse) response;
      refused.setStatus(HttpServletResponse.SC_UNAUTHORIZED);
      refused.setContentType("application/json");
      refused.getWriter().write("{\"error\":{\"message\":\"no valid token\",\"type\":\"NotAuthorizedException\",\"code\":401}}");
    };
  }
}
