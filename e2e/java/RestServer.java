import jakarta.servlet.DispatcherType;
import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.FileReader;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.rest.HTTPRequest;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.apache.iceberg.rest.RESTResponse;
import org.apache.iceberg.rest.responses.ErrorResponse;
import org.apache.iceberg.rest.responses.OAuthTokenResponse;
import org.eclipse.jetty.server.CustomRequestLog;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.Slf4jRequestLogWriter;
import org.eclipse.jetty.server.handler.gzip.GzipHandler;
import org.eclipse.jetty.servlet.FilterHolder;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/**
 * Serves Iceberg's reference implementation of the REST protocol on loopback, with a JdbcCatalog behind it, to those who have a
 * token: the fixed one, or the one that the client gets for its secret. That one has no end, but another server does not know it.
 *
 * <p>java -cp JARS RestServer.java PORT CLIENT SECRET TOKEN FILE-WITH-THE-CATALOG'S-PROPERTIES
 */
public class RestServer {
  public static void main(String[] args) throws Exception {
    String client = args[1], secret = args[2], fixed = args[3], issued = UUID.randomUUID().toString();
    Properties properties = new Properties();
    try (FileReader file = new FileReader(args[4])) {
      properties.load(file);
    }
    Map<String, String> options = new HashMap<>();
    properties.stringPropertyNames().forEach(name -> options.put(name, properties.getProperty(name)));
    JdbcCatalog catalog = new JdbcCatalog();
    catalog.initialize("rest", options);

    ServletContextHandler handler = new ServletContextHandler();
    handler.addServlet(new ServletHolder(new RESTCatalogServlet(new Adapter(catalog, client, secret, issued))), "/*");
    handler.addFilter(new FilterHolder(admit(Set.of("Bearer " + fixed, "Bearer " + issued))), "/*", EnumSet.of(DispatcherType.REQUEST));
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

  /** Gives the token to one client only. Iceberg's adapter gives one to everybody. */
  private static class Adapter extends RESTCatalogAdapter {
    private final String client;
    private final String secret;
    private final String issued;

    Adapter(Catalog catalog, String client, String secret, String issued) {
      super(catalog);
      this.client = client;
      this.secret = secret;
      this.issued = issued;
    }

    @Override
    protected <T extends RESTResponse> T execute(
        HTTPRequest request, Class<T> type, Consumer<ErrorResponse> refuse, Consumer<Map<String, String>> headers) {
      if (!asksForToken(request.path())) {
        return super.execute(request, type, refuse, headers);
      }
      Map<?, ?> form = (Map<?, ?>) request.body();
      if (client.equals(form.get("client_id")) && secret.equals(form.get("client_secret"))) {
        return type.cast(OAuthTokenResponse.builder().withToken(issued).withTokenType("bearer").build());
      }
      refuse.accept(ErrorResponse.builder().responseCode(401).withType("invalid_client").withMessage("wrong client or secret").build());
      return null;
    }
  }

  private static boolean asksForToken(String path) {
    return path.endsWith("v1/oauth/tokens");
  }

  /** Refuses requests without one of the tokens, other than those for a token. */
  private static Filter admit(Set<String> tokens) {
    return (request, response, chain) -> {
      HttpServletRequest asked = (HttpServletRequest) request;
      String given = asked.getHeader("Authorization");
      if (asksForToken(asked.getRequestURI()) || given != null && tokens.contains(given)) {
        chain.doFilter(request, response);
        return;
      }
      HttpServletResponse refusal = (HttpServletResponse) response;
      refusal.setStatus(HttpServletResponse.SC_UNAUTHORIZED);
      refusal.setContentType("application/json");
      refusal.getWriter().write("{\"error\":{\"message\":\"no valid token\",\"type\":\"NotAuthorizedException\",\"code\":401}}");
    };
  }
}
